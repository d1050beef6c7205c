"""Ten models as programs of torch: each text is run for both libraries, and makes ``model`` and its ``inputs``.

``torch``, ``nn``, ``F`` and ``math`` are there.
"""

from __future__ import annotations

import math
from typing import Any

MODELS = {
    "resnet": """
class Block(nn.Module):
    expansion = 1

    def __init__(self, into, out, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample = None
        if stride != 1 or into != out:
            self.downsample = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, zero_init_residual=True):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Block(8, 8), Block(8, 8))
        self.layer2 = nn.Sequential(Block(8, 16, 2), Block(16, 16))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(16, 10)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)
        if zero_init_residual:
            for m in self.modules():
                if isinstance(m, Block):
                    nn.init.constant_(m.bn2.weight, 0)

    def forward(self, x):
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer2(self.layer1(x))
        return self.fc(torch.flatten(self.avgpool(x), 1))


model = ResNet()
inputs = (torch.randn(2, 3, 32, 32),)
""",
    "vgg": """
def features(plan):
    layers, channels = [], 3
    for v in plan:
        if v == "M":
            layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
        else:
            layers += [nn.Conv2d(channels, v, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
            channels = v
    return nn.Sequential(*layers)


class VGG(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = features([8, "M", 16, 16, "M"])
        self.classifier = nn.Sequential(
            nn.Linear(16 * 4 * 4, 32), nn.ReLU(True), nn.Dropout(), nn.Linear(32, 32), nn.ReLU(True), nn.Dropout(),
            nn.Linear(32, 10),
        )
        self.apply(self._weights)

    def _weights(self, m):
        if isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, 0, 0.01)
            nn.init.zeros_(m.bias)
        elif isinstance(m, nn.Conv2d):
            nn.init.xavier_uniform_(m.weight, gain=nn.init.calculate_gain("relu"))

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


model = VGG()
inputs = (torch.randn(2, 3, 16, 16),)
""",
    "unet": """
def double(into, out):
    return nn.Sequential(
        nn.Conv2d(into, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
        nn.Conv2d(out, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList([double(1, 8), double(8, 16)])
        self.middle = double(16, 32)
        self.up = nn.ModuleDict({"deep": nn.ConvTranspose2d(32, 16, 2, 2), "flat": nn.ConvTranspose2d(16, 8, 2, 2)})
        self.join = nn.ModuleDict({"deep": double(32, 16), "flat": double(16, 8)})
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        kept = []
        for down in self.down:
            x = down(x)
            kept.append(x)
            x = F.max_pool2d(x, 2)
        x = self.middle(x)
        for name in ("deep", "flat"):
            x = self.join[name](torch.cat([kept.pop(), self.up[name](x)], dim=1))
        return self.out(x)


model = UNet()
inputs = (torch.randn(2, 1, 16, 16),)
""",
    "gpt": """
class Attention(nn.Module):
    def __init__(self, width, heads, length):
        super().__init__()
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)
        self.heads = heads
        self.dropout = nn.Dropout(0.1)
        self.register_buffer("bias", torch.tril(torch.ones(length, length)).view(1, 1, length, length))
        self.register_buffer("hidden", torch.arange(length), persistent=False)

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(C, dim=2)
        q, k, v = (t.view(B, T, self.heads, C // self.heads).transpose(1, 2) for t in (q, k, v))
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = F.softmax(att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf")), dim=-1)
        return self.c_proj((self.dropout(att) @ v).transpose(1, 2).contiguous().view(B, T, C))


class Block(nn.Module):
    def __init__(self, width, heads, length):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads, length)
        self.ln_2 = nn.LayerNorm(width, bias=False)
        self.mlp = nn.ModuleDict(
            dict(c_fc=nn.Linear(width, 4 * width), c_proj=nn.Linear(4 * width, width), act=nn.GELU())
        )

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp.c_proj(self.mlp.act(self.mlp.c_fc(self.ln_2(x))))


class GPT(nn.Module):
    def __init__(self, words=20, length=8, width=16, layers=2):
        super().__init__()
        self.transformer = nn.ModuleDict(dict(
            wte=nn.Embedding(words, width), wpe=nn.Embedding(length, width), drop=nn.Dropout(0.1),
            h=nn.ModuleList([Block(width, 2, length) for _ in range(layers)]), ln_f=nn.LayerNorm(width),
        ))
        self.lm_head = nn.Linear(width, words, bias=False)
        self.transformer.wte.weight = self.lm_head.weight
        self.apply(self._init_weights)
        for pn, p in self.named_parameters():
            if pn.endswith("c_proj.weight"):
                torch.nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * layers))

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)

    def forward(self, idx):
        pos = torch.arange(0, idx.size(1), dtype=torch.long)
        x = self.transformer.drop(self.transformer.wte(idx) + self.transformer.wpe(pos))
        for block in self.transformer.h:
            x = block(x)
        return self.lm_head(self.transformer.ln_f(x))


model = GPT()
inputs = (torch.randint(0, 20, (2, 8)),)
""",
    "vit": """
class ViT(nn.Module):
    def __init__(self, width=16, patches=16):
        super().__init__()
        self.embed = nn.Conv2d(3, width, kernel_size=4, stride=4)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.pos = nn.Parameter(torch.randn(1, patches + 1, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, 4, 32, 0.1, activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)
        nn.init.trunc_normal_(self.cls, std=0.02)
        nn.init.zeros_(self.head.weight)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], dim=1) + self.pos
        return self.head(self.encoder(x)[:, 0]) + self.encoder.norm(x).mean(1)[:, :10]


model = ViT()
inputs = (torch.randn(2, 3, 16, 16),)
""",
    "lstm_language": """
class Language(nn.Module):
    def __init__(self, words=20, width=12):
        super().__init__()
        self.drop = nn.Dropout(0.2)
        self.encoder = nn.Embedding(words, width, padding_idx=0)
        self.rnn = nn.LSTM(width, width, 2, dropout=0.2)
        self.decoder = nn.Linear(width, words)
        self.decoder.weight = self.encoder.weight
        self.init_weights()

    def init_weights(self):
        initrange = 0.1
        nn.init.uniform_(self.encoder.weight, -initrange, initrange)
        nn.init.zeros_(self.decoder.bias)
        for name, p in self.rnn.named_parameters():
            if "weight_hh" in name:
                nn.init.xavier_normal_(p)
            elif "bias" in name:
                nn.init.zeros_(p)

    def forward(self, x):
        output, hidden = self.rnn(self.drop(self.encoder(x)))
        return self.decoder(self.drop(output)), *hidden


model = Language()
inputs = (torch.randint(0, 20, (5, 3)),)
""",
    "gru_tagger": """
class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(30, 8)
        self.characters = nn.Conv1d(8, 6, 3, padding=1)
        self.gru = nn.GRU(14, 10, num_layers=2, bidirectional=True, batch_first=True, dropout=0.1)
        self.scale = nn.ParameterList([nn.Parameter(torch.ones(20)), nn.Parameter(torch.rand(20))])
        self.tags = nn.Sequential(nn.Dropout1d(0.1), nn.Linear(20, 5), nn.LogSoftmax(dim=-1))

    def forward(self, x):
        e = self.words(x)
        e = torch.cat([e, self.characters(e.transpose(1, 2)).transpose(1, 2)], dim=-1)
        out, _ = self.gru(e)
        return self.tags(out * self.scale[0] + self.scale[1])


model = Tagger()
inputs = (torch.randint(0, 30, (3, 7)),)
""",
    "seq2seq_transformer": """
class Positions(nn.Module):
    def __init__(self, width, length=20):
        super().__init__()
        place = torch.arange(length).unsqueeze(1)
        div = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        pe = torch.zeros(length, width)
        pe[:, 0::2] = torch.sin(place * div)
        pe[:, 1::2] = torch.cos(place * div)
        self.register_buffer("pe", pe.unsqueeze(0), persistent=False)

    def forward(self, x):
        return x + self.pe[:, : x.size(1)]


class Seq2Seq(nn.Module):
    def __init__(self, words=25, width=16):
        super().__init__()
        self.source, self.target = nn.Embedding(words, width), nn.Embedding(words, width)
        self.place = Positions(width)
        self.transformer = nn.Transformer(width, 4, 2, 2, 32, 0.1, batch_first=True)
        self.generator = nn.Linear(width, words)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)

    def forward(self, x, y):
        mask = nn.Transformer.generate_square_subsequent_mask(y.size(1))
        out = self.transformer(self.place(self.source(x)), self.place(self.target(y)), tgt_mask=mask)
        return self.generator(out)


model = Seq2Seq()
inputs = (torch.randint(0, 25, (2, 6)), torch.randint(0, 25, (2, 5)))
""",
    "vae": """
class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 3, 2, 1), nn.GroupNorm(2, 8), nn.SiLU(), nn.Flatten(), nn.Linear(128, 32), nn.PReLU(),
        )
        self.mu, self.logvar = nn.Linear(32, 4), nn.Linear(32, 4)
        self.mix = nn.Bilinear(4, 4, 6)
        self.decoder = nn.Sequential(
            nn.Linear(6, 128), nn.ELU(), nn.Unflatten(1, (8, 4, 4)), nn.Upsample(scale_factor=2),
            nn.Conv2d(8, 1, 3, padding=1), nn.InstanceNorm2d(1, affine=True, track_running_stats=True), nn.Sigmoid(),
        )
        for name, p in self.named_parameters():
            if name.startswith("mu") and p.dim() > 1:
                nn.init.orthogonal_(p, gain=0.5)

    def forward(self, x):
        h = self.encoder(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.decoder(self.mix(z, mu)), mu, logvar


model = VAE()
inputs = (torch.rand(3, 1, 8, 8),)
""",
    "dcgan": """
def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        torch.nn.init.normal_(m.weight, 0.0, 0.02)
    elif classname.find("BatchNorm") != -1:
        torch.nn.init.normal_(m.weight, 1.0, 0.02)
        torch.nn.init.zeros_(m.bias)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(10, 16, 4, 1, 0, bias=False), nn.BatchNorm2d(16), nn.ReLU(True),
            nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(True),
            nn.ConvTranspose2d(8, 1, 4, 2, 1, bias=False), nn.Tanh(),
        )

    def forward(self, z):
        return self.main(z)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(1, 8, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(8, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(16, 1, 4, 1, 0, bias=False),
        )

    def forward(self, x):
        return self.main(x).view(-1)


class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator, self.discriminator = Generator(), Discriminator()
        self.generator.apply(weights_init)
        self.discriminator.apply(weights_init)

    def forward(self, z):
        made = self.generator(z)
        return self.discriminator(made), made


model = Both()
inputs = (torch.randn(3, 10, 1, 1),)
""",
}


def built(library: Any, name: str, seed: int) -> tuple[Any, tuple[Any, ...]]:
    """The model and its inputs, which the source text makes with a library from a seed."""
    names = {"torch": library, "nn": library.nn, "F": library.nn.functional, "math": math, "__name__": "__models__"}
    library.manual_seed(seed)
    exec(compile(MODELS[name], name, "exec", dont_inherit=True), names)
    return names["model"], names["inputs"]
