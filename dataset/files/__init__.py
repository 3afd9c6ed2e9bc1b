"""What reads a file: video, pictures, MATLAB, HDF5, archives, tables."""
