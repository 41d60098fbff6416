"""The autoregressive transformer: causality, exact sums over all sequences, and what each head can express."""

import itertools
import math

import pytest
import torch
from torch.func import functional_call

from bumplab.common.errors import BumplabError
from bumplab.models.transformer import CellTransformer
from bumplab.training.step import over_stack

HEADS = ("separate", "joint", "sequence")


def small(head, values=(2, 3), length=2, seed=0):
    torch.manual_seed(seed)
    model = CellTransformer(values, length, width=16, depth=2, heads=2, head=head)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return model


def every_sequence(values, length):
    cells = list(itertools.product(*map(range, values)))
    return torch.tensor(list(itertools.product(cells, repeat=length)))


@pytest.mark.parametrize("head", HEADS)
def test_chances_of_all_sequences_sum_to_one(head):
    model, sequences = small(head), every_sequence((2, 3), 2)
    assert len(sequences) == 36
    total = model.log_likelihood(sequences).sum(1).exp().sum()
    assert total.item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_sequences_are_drawn_as_often_as_they_are_likely(head):
    model, sequences, n = small(head), every_sequence((2, 3), 2), 20_000
    expected = n * model.log_likelihood(sequences).sum(1).exp()
    cells = model.draw(n, torch.Generator().manual_seed(1))
    counts = (cells[:, None] == sequences).all((2, 3)).sum(0)
    assert counts.sum() == n
    often = expected > 5
    assert (((counts - expected) ** 2 / expected)[often]).sum() < 75  # chi-square, at most 35 degrees: 0.9999
    assert (counts[~often] < 30).all()


@pytest.mark.parametrize("head", HEADS)
def test_a_cell_hears_nothing_of_those_after_it(head):
    model = small(head, (3, 4), 6)
    generator = torch.Generator().manual_seed(2)
    cells = torch.stack([torch.randint(size, (8, 6), generator=generator) for size in (3, 4)], 2)
    for k in range(6):
        other = cells.clone()
        other[:, k] = (other[:, k] + 1) % torch.tensor([3, 4])
        same = torch.isclose(model.log_likelihood(other), model.log_likelihood(cells), atol=1e-6)
        assert same[:, :k].all()
        assert not same[:, k:].all(0).any()  # but all after it do hear of it
        for one, two in zip(model(other), model(cells), strict=True):
            upto = k if head == "sequence" else k + 1
            torch.testing.assert_close(one[:, :upto], two[:, :upto], atol=1e-5, rtol=1e-5)


def test_attributes_of_a_separate_head_are_independent_and_of_the_others_not():
    for head in HEADS:
        model, sequences = small(head, (2, 3), 1), every_sequence((2, 3), 1)
        table = model.log_likelihood(sequences).sum(1).exp().view(2, 3)
        product = table.sum(1, keepdim=True) * table.sum(0)
        assert torch.allclose(table, product, atol=1e-6) == (head == "separate")


@pytest.mark.parametrize("head, choices", [("separate", 16), ("joint", 4), ("sequence", 4)])
def test_the_head_decides_whether_a_copied_attribute_is_learned(head, choices):
    torch.manual_seed(0)
    floor = math.log(choices)  # nats
    model = CellTransformer((4, 4), length=1, width=16, depth=1, heads=2, head=head)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    cells = torch.arange(4).repeat(16)[:, None, None].expand(64, 1, 2)  # both attributes are the same
    for _ in range(200):
        loss = -model.log_likelihood(cells).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() == pytest.approx(floor, abs=0.05) and loss.item() > floor - 1e-3
    drawn = model.draw(1000, torch.Generator().manual_seed(0))[:, 0]
    share = (drawn[:, 0] == drawn[:, 1]).float().mean()
    assert share == pytest.approx(0.25 if head == "separate" else 1, abs=0.05)


@pytest.mark.parametrize("head", HEADS)
def test_what_is_given_stays_and_temperature_zero_takes_the_likeliest(head):
    model = small(head, (2, 3), 3)
    given = torch.tensor([[[1, 2], [0, 1]]]).expand(50, 2, 2)
    cells = model.draw(50, torch.Generator().manual_seed(0), given)
    assert torch.equal(cells[:, :2], given) and len(cells[:, 2].unique(dim=0)) > 1
    greedy = model.draw(50, given=given, temperature=0)
    assert len(greedy.unique(dim=0)) == 1
    if head != "sequence":  # there, the likeliest first attribute need not lead to the likeliest cell
        last = every_sequence((2, 3), 1)
        choices = torch.cat([given[:1].expand(6, 2, 2), last], 1)
        assert torch.equal(greedy[0], choices[model.log_likelihood(choices)[:, 2].argmax()])


def test_a_stack_of_networks_says_what_each_of_them_says():
    for head in HEADS:
        models = [small(head, (2, 3), 4, seed) for seed in (0, 1)]
        cells = torch.randint(2, (2, 5, 4, 2))
        states = [dict(model.state_dict()) for model in models]
        weights = {name: torch.stack([each[name] for each in states]) for name in states[0]}

        def mean_log(w, cells, model=models[0]):
            logits = functional_call(model, w, (cells,))
            return torch.stack([each.log_softmax(2).mean() for each in logits])

        together = over_stack(mean_log)(weights, cells)
        for k, model in enumerate(models):
            torch.testing.assert_close(together[k], mean_log(dict(model.state_dict()), cells[k]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda: CellTransformer((5,), 9, head="pair"), "A head is separate, joint or sequence, got 'pair'"),
        (lambda: CellTransformer((5,), 9, width=10, heads=3), "heads of attention divide its width"),
        (lambda: small("joint")(torch.zeros(1, 3, 2, dtype=torch.int64)), r"shape \(n, 2, 2\), got \(1, 3, 2\)"),
    ],
)
def test_what_cannot_be_is_refused(make, sentence):
    with pytest.raises(BumplabError, match=sentence):
        make()
