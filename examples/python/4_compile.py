"""Level 4: in a module that torch compiles. Runs on a CPU."""

import torch

import sfa
from checks import check, check_close

torch.manual_seed(1)


class Block(torch.nn.Module):
    """Self-attention of 4 heads of 64 features, sparsified to 8."""

    def __init__(self):
        super().__init__()
        self.project = torch.nn.Linear(256, 3 * 256)
        self.out = torch.nn.Linear(256, 256)

    def forward(self, x):
        q, k, v = (y.unflatten(-1, (4, 64)).transpose(1, 2) for y in self.project(x).chunk(3, dim=-1))
        return self.out(sfa.attention(q, k, v, topk=8, causal=True).transpose(1, 2).flatten(-2))


block = Block().eval()
# To torch.compile a call is one node, so there is no break in the graph. The default backend needs a C++ compiler on a
# CPU; this one needs nothing, and compiles no further than the graph.
compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
with torch.no_grad():
    for tokens in (50, 51, 200):
        x = torch.randn(2, tokens, 256)
        check_close(f"{tokens} tokens", compiled(x), block(x))

    # torch.export sees it as a node too.
    exported = torch.export.export(block, (x,))
    names = [str(node.target) for node in exported.graph.nodes]
    check("one node of the exported graph", names.count("sfa.attention.default") == 1)

# Forward only: there are no gradients, and asking for them is an error, not a zero.
try:
    block(x).sum().backward()
except sfa.errors.RunError as error:
    check(f"no gradients: {error}", "forward only" in str(error))
else:
    check("gradients are refused", False)
