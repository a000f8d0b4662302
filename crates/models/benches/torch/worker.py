"""torch's side of a benchmark: one JSON request a line on standard input, one JSON answer a line on standard output.

    {"task": "step", "model": "wide-deep", "optimizer": "adam", "field_dims": [6040, 3952], "batch": 4096, "runs": 5}
    {"task": "score", "model": "afm", "mode": "compile", "field_dims": [6040, 3952], "batch": 512, "runs": 5}

The answer is the request with "milliseconds", one figure a run. optimizer: adam (torch's default), adam-fused; mode:
eager, compile; "rows" names a file of indices, u32 row after row, in place of uniform ones. "alone": true forgets what earlier requests built. What a request builds is kept for the next of its kind, so that two sides can take turns. Field dims,
embedding width 16, MLP (16, 16), dropout 0.2 and three cross layers are those of the other side; indices are uniform
within their fields where no file is named.
"""

import json
import os
import sys
import time

import torch
from torch import nn

WIDTH, HIDDEN, DROPOUT, CROSSES, ATTENTION = 16, (16, 16), 0.2, 3, 16
RATE, DECAY = 1e-3, 1e-6
BATCHES = 8


class Tables(nn.Module):
    """The rows of each field in one table; a field's indices start where the field before it ends."""

    def __init__(self, dims, width):
        super().__init__()
        ends = torch.tensor(dims).cumsum(0)
        self.register_buffer("starts", ends - torch.tensor(dims))
        self.rows = nn.Embedding(int(ends[-1]), width)
        nn.init.xavier_uniform_(self.rows.weight)

    def forward(self, indices):
        return self.rows(indices + self.starts)


class FirstOrder(nn.Module):
    """A weight per value, and a bias."""

    def __init__(self, dims):
        super().__init__()
        self.weights = Tables(dims, 1)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, indices):
        return self.weights(indices).sum(dim=(1, 2)) + self.bias


def mlp(width, output):
    layers = []
    for hidden in HIDDEN:
        layers += [nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(DROPOUT)]
        width = hidden
    return nn.Sequential(*layers, *([nn.Linear(width, 1)] if output else []))


class Pairs(nn.Module):
    """Half of the square of the sum less the sum of squares: all products of two fields."""

    def forward(self, rows):
        return 0.5 * (rows.sum(1).square() - rows.square().sum(1)).sum(1)


class Model(nn.Module):
    def __init__(self, name, dims):
        super().__init__()
        self.name = name
        self.rows = Tables(dims, WIDTH)
        flat = len(dims) * WIDTH
        if name != "dcn":
            self.first = FirstOrder(dims)
        if name in ("fm", "deepfm"):
            self.pairs = Pairs()
        if name in ("deepfm", "wide-deep", "dcn"):
            self.mlp = mlp(flat, name != "dcn")
        if name == "dcn":
            self.cross = nn.ModuleList(nn.Linear(flat, 1, bias=False) for _ in range(CROSSES))
            self.shifts = nn.ParameterList(nn.Parameter(torch.zeros(flat)) for _ in range(CROSSES))
            self.join = nn.Linear(flat + HIDDEN[-1], 1)
        if name == "afm":
            self.attention = nn.Linear(WIDTH, ATTENTION)
            self.projection = nn.Linear(ATTENTION, 1)
            self.dropout = nn.Dropout(DROPOUT)
            self.last = nn.Linear(WIDTH, 1)
            left, right = torch.triu_indices(len(dims), len(dims), 1)
            self.register_buffer("left", left)
            self.register_buffer("right", right)

    def forward(self, indices):
        rows = self.rows(indices)
        if self.name == "dcn":
            start = rows.flatten(1)
            crossed = start
            for weight, shift in zip(self.cross, self.shifts):
                crossed = start * weight(crossed) + shift + crossed
            return self.join(torch.cat([crossed, self.mlp(start)], 1)).squeeze(1)
        logit = self.first(indices)
        if self.name in ("fm", "deepfm"):
            logit = logit + self.pairs(rows)
        if self.name in ("deepfm", "wide-deep"):
            logit = logit + self.mlp(rows.flatten(1)).squeeze(1)
        if self.name == "afm":
            products = rows[:, self.left] * rows[:, self.right]
            shares = torch.softmax(self.projection(torch.relu(self.attention(products))), 1)
            attended = self.dropout((self.dropout(shares) * products).sum(1))
            logit = logit + self.last(attended).squeeze(1)
        return logit


def batches(dims, batch, file):
    if file:
        count = os.path.getsize(file) // 4
        rows = torch.from_file(file, size=count, dtype=torch.int32).reshape(-1, len(dims))
        # Spread over the file; what a batch needs is in memory before the clock starts.
        starts = [int(i * (len(rows) - batch) / max(1, BATCHES - 1)) for i in range(BATCHES)]
        return [(rows[start : start + batch].long(), None) for start in starts]
    bounds = torch.tensor(dims)
    return [
        ((torch.rand(batch, len(dims)) * bounds).long().clamp_(max=bounds - 1), torch.randint(2, (batch,)).float())
        for _ in range(BATCHES)
    ]


def stepper(request):
    model = Model(request["model"], request["field_dims"]).train()
    fused = {"fused": True} if request["optimizer"] == "adam-fused" else {}
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, weight_decay=DECAY, **fused)
    loss_of = nn.BCELoss()

    def step(batch):
        indices, labels = batch
        optimizer.zero_grad()
        loss = loss_of(torch.sigmoid(model(indices)), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def scorer(request):
    model = Model(request["model"], request["field_dims"]).eval()
    if request["mode"] == "compile":
        # Each batch size compiled as it is: a size left open gives slower code.
        model = torch.compile(model, dynamic=False)

    def score(batch):
        with torch.inference_mode():
            return torch.sigmoid(model(batch[0]))

    return score


def main():
    torch.manual_seed(1)
    # All models and batch sizes count as versions of one function, and beyond the limit torch runs them uncompiled.
    torch._dynamo.config.recompile_limit = 1000
    kept = {}
    for line in sys.stdin:
        request = json.loads(line)
        runs = request.pop("runs")
        alone = request.pop("alone", False)
        key = json.dumps(request, sort_keys=True)
        if key not in kept:
            if alone:
                kept.clear()
            run = stepper(request) if request["task"] == "step" else scorer(request)
            rows = batches(request["field_dims"], request["batch"], request.get("rows"))
            for batch in rows[:2]:
                run(batch)
            kept[key] = (run, rows, 0)
        run, rows, at = kept[key]
        times = []
        for i in range(at, at + runs):
            begun = time.perf_counter()
            run(rows[i % BATCHES])
            times.append((time.perf_counter() - begun) * 1e3)
        kept[key] = (run, rows, at + runs)
        answer = {k: v for k, v in request.items() if k != "field_dims"}
        answer |= {"torch": torch.__version__, "threads": torch.get_num_threads(), "milliseconds": times}
        print(json.dumps(answer), flush=True)


main()
