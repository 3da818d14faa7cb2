"""VGG19 to relu5_1 in PyTorch, and the loss that `impasto bench` evaluates: what both rivals' scripts time.

Five Gram terms and a content term at relu4_2, the network frozen, channels last. The weights are random, on the scale of trained ones (their
values cost nothing).
"""
import torch

WIDTHS = [64, 64, "pool", 128, 128, "pool", 256, 256, 256, 256, "pool", 512, 512, 512, 512, "pool", 512]
STYLE, CONTENT = {0, 2, 4, 8, 12}, 9


def network(device):
    modules, inputs = [], 3
    for width in WIDTHS:
        if width == "pool":
            modules.append(torch.nn.MaxPool2d(2))
        else:
            convolution = torch.nn.Conv2d(inputs, width, 3, padding=1)
            torch.nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            modules.append(convolution)
            inputs = width
    return torch.nn.ModuleList(modules).requires_grad_(False).to(device, memory_format=torch.channels_last)


def canvas(size, device, gradient=True):
    pixels = 255 * torch.rand(1, 3, size, size, device=device) - 116
    return pixels.to(memory_format=torch.channels_last).requires_grad_(gradient)


def loss(network, value):
    total, index = 0.0, 0
    for module in network:
        value = module(value)
        if isinstance(module, torch.nn.Conv2d):
            value = value.relu()
            if index in STYLE:
                flat = value.float().flatten(2)[0]
                total = total + (flat @ flat.T / flat.shape[1]).square().mean()
            if index == CONTENT:
                total = total + value.float().square().mean()
            index += 1
    return total
