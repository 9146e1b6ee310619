import pytest
import torch

from mixvi.distributions.sparse import Nonzeros, dense, linear, map_nonzeros, row_sums

pytestmark = [
    pytest.mark.law,
    pytest.mark.filterwarnings("ignore:Sparse CS[RC] tensor support is in beta"),
]


@pytest.fixture
def x():
    torch.manual_seed(0)
    x = torch.poisson(torch.full((7, 11), 0.5))
    x[2] = 0
    return x


@pytest.fixture(params=["dense", "csr", "csc"])
def layout(request, x):
    convert = {"csr": torch.Tensor.to_sparse_csr, "csc": torch.Tensor.to_sparse_csc}
    return convert[request.param](x) if request.param in convert else x


def test_numbers_do_not_depend_on_the_layout(x, layout):
    torch.testing.assert_close(dense(layout), x)
    torch.testing.assert_close(row_sums(layout), x.sum(-1, keepdim=True))
    torch.testing.assert_close(dense(map_nonzeros(layout, torch.log1p)), x.log1p())


def test_linear_and_its_gradient(x, layout):
    weight = torch.randn(3, 11, requires_grad=True)
    torch.testing.assert_close(linear(layout, weight), x @ weight.t())
    (gradient,) = torch.autograd.grad(linear(layout, weight).square().sum(), weight)
    (expected,) = torch.autograd.grad((x @ weight.t()).square().sum(), weight)
    torch.testing.assert_close(gradient, expected)


def test_nonzeros_take_and_sum(x, layout):
    at = Nonzeros(layout)
    per_entry, per_gene = torch.randn(2, 7, 11), torch.randn(11)
    torch.testing.assert_close(at.sum_by_cell(at.values), x.sum(-1))
    mask = (x != 0).float()
    torch.testing.assert_close(at.sum_by_cell(at.take(per_entry)), (per_entry * mask).sum(-1))
    torch.testing.assert_close(at.sum_by_cell(at.take(per_gene)), (per_gene * mask).sum(-1))
