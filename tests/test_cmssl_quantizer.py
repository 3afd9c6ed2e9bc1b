"""The quantiser: assignments, moving averages, dead codes, the k-means start, and what it says of its health."""

import math

import pytest
import torch
import torch.nn.functional as F

from neural_methods.model import quantizer
from neural_methods.model.quantizer import Quantizer, health, nearest, spherical_kmeans


def make(codes=6, width=4, **more):
    """A quantiser whose codes are set."""
    torch.manual_seed(0)
    return Quantizer(codes, width, kmeans=False, **more)


def test_cmssl_tokens_are_the_nearest_codes_in_chunks_as_at_once(monkeypatch):
    """By the squared distance, which of unit vectors is the largest cosine."""
    torch.manual_seed(1)
    unit, codes = (F.normalize(torch.randn(size, 8), dim=-1) for size in (50, 9))
    expected = torch.cdist(unit, codes).argmin(dim=1)
    monkeypatch.setattr(quantizer, "SIMILARITIES", 63)
    assert torch.equal(nearest(unit, codes), expected)


def test_cmssl_update_is_the_formula_of_moving_averages():
    """Sizes, sums and codes, written out with a one-hot matrix."""
    found = make(decay=0.9, dead_after=0).train()
    book = found.embedding
    book.cluster_size.copy_(torch.rand(6) + 0.5)
    book.embed_avg.copy_(torch.randn(6, 4))
    size, average, codes = book.cluster_size.clone(), book.embed_avg.clone(), book.weight.clone()
    vectors = torch.randn(3, 5, 4)
    found(vectors)
    found.update()
    unit = F.normalize(vectors.reshape(-1, 4), dim=-1)
    one_hot = F.one_hot((unit @ codes.T).argmax(1), 6).float()
    size = 0.9 * size + 0.1 * one_hot.sum(0)
    average = 0.9 * average + 0.1 * one_hot.T @ unit
    smoothed = (size + 1e-5) / (size.sum() + 6e-5) * size.sum()
    torch.testing.assert_close(book.cluster_size, size)
    torch.testing.assert_close(book.embed_avg, average)
    torch.testing.assert_close(book.weight, F.normalize(average / smoothed[:, None], dim=-1))
    assert torch.equal(book.use, one_hot.sum(0).long())


def test_cmssl_codes_do_not_move_in_evaluation_and_not_by_what_is_no_number():
    """Neither do they without an update, nor after a batch of NaN."""
    found = make()
    before = {name: value.clone() for name, value in found.state_dict().items()}
    found.eval()(torch.randn(2, 5, 4))
    found.update()
    found.train()(torch.full((2, 5, 4), math.nan))
    found.update()
    assert all(torch.equal(before[name], value) for name, value in found.state_dict().items())


def test_cmssl_gradient_passes_straight_through():
    """That of the codes is that of the vectors; the commitment pulls these to the codes and not the other way."""
    found = make().train()
    vectors = F.normalize(torch.randn(7, 4), dim=-1).requires_grad_()
    quantised = found(vectors)
    pull = torch.randn(7, 4)
    (quantised.codes * pull).sum().backward()
    radial = (pull * vectors).sum(1, keepdim=True) * vectors
    torch.testing.assert_close(vectors.grad, (pull - radial).detach())
    assert not found.embedding.weight.requires_grad
    expected = (found.embedding.weight[quantised.tokens] - F.normalize(vectors, dim=-1)).square().mean()
    torch.testing.assert_close(quantised.commitment, expected)


def test_cmssl_dead_codes_start_anew_from_current_vectors():
    """With code, size and sum that belong together; codes in use stay."""
    found = make(codes=3, width=4, dead_after=2).train()
    vectors = F.normalize(torch.randn(8, 4), dim=-1)
    found.embedding.weight.copy_(torch.stack([vectors[0], -vectors[0], -vectors[0]]))
    found.embedding.embed_avg.copy_(found.embedding.weight)
    for _ in range(2):
        found(vectors[:1].expand(4, 4))
        found.update()
    book = found.embedding
    assert book.idle.tolist() == [0, 0, 0]
    torch.testing.assert_close(book.weight[1:], vectors[:1].expand(2, 4))
    assert book.cluster_size[1:].tolist() == [1, 1]
    torch.testing.assert_close(book.embed_avg[1:], book.weight[1:])


def test_cmssl_no_code_is_zero_after_the_kmeans_start_and_updates():
    """Not even those that no vector of the following batches is nearest to."""
    torch.manual_seed(0)
    found = Quantizer(32, 8, dead_after=0).train()
    assert not found.embedding.initted
    found.start(*spherical_kmeans(torch.randn(200, 8), 32))
    for _ in range(300):
        found(torch.randn(1, 8).expand(4, 8))
        found.update()
    assert found.embedding.initted
    torch.testing.assert_close(found.embedding.weight.norm(dim=1), torch.ones(32))


def test_cmssl_kmeans_finds_separate_groups():
    """Each of four tight groups gets a centre, though all first centres are of one; too few vectors are refused."""
    torch.manual_seed(0)
    groups = F.normalize(torch.eye(4).repeat_interleave(25, 0) + 0.05 * torch.randn(100, 4), dim=-1)
    centres, sizes = spherical_kmeans(groups, 4, steps=20)
    assert (centres @ torch.eye(4)).max(dim=0).values.min() > 0.9 and sizes.tolist() == [25] * 4
    with pytest.raises(ValueError, match="3 vectors cannot start 4 codes"):
        spherical_kmeans(groups[:3], 4)


def test_cmssl_health_counts_what_is_used():
    """Four codes alike have the perplexity 4; a collapsed vocabulary has 1."""
    found = health(torch.tensor([5, 5, 5, 5, 0, 0, 0, 0]))
    assert found["perplexity"] == pytest.approx(4) and (found["unused"], found["unused_share"]) == (4, 0.5)
    assert (found["least"], found["most"], found["mean"]) == (0, 5, 2.5)
    assert health(torch.tensor([9, 0, 0]))["perplexity"] == pytest.approx(1)
