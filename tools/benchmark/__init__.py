"""Measurements, side by side with a stated floor, written into a results page with their conditions."""
