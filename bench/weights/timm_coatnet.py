"""Where timm's `coatnet_*_224` keep the weights of a CoAtNet.

Layouts follow from the name and the rank, with these particulars: every dense kernel (I, O) here but those of the head is a 1x1
convolution (O, I, 1, 1) there, and a table of relative biases (heads, 2H-1, 2W-1) here is ((2H-1) * (2W-1), heads) there. The
order of the outputs of `qkv` is the same.

timm computes the same function where it is told to: `stem_bias=True`, `conv_padding="same"`, `conv_norm_eps=1e-3`,
`conv_act_layer="gelu_tanh"`, `conv_stride_mode="1x1"` (`"dw"` for `dagger`), `conv_pool_type="max2"`,
`transformer_norm_eps=1e-5`, `transformer_act_layer="gelu_tanh"`, `transformer_pool_type="max2"`. By default it pools by
means, has other epsilons, the exact GELU, strides in the depthwise convolution and no biases in the stem. It has no projection
where a stage keeps the width (CoAtNet-2, -3, -4 and -6), and none of its stages has two widths, as the third of CoAtNet-6 and
-7 has.
"""

from __future__ import annotations

from bench.points.variants.coatnet import CoAtNetSpec


def _dense(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}/kernel": f"{theirs}.weight", f"{ours}/bias": f"{theirs}.bias"}


def _norm(ours: str, theirs: str, batch: bool = False) -> dict[str, str]:
    statistics = {f"{ours}/{leaf}": f"{theirs}.running_{leaf}" for leaf in ("mean", "var")} if batch else {}
    return {f"{ours}/scale": f"{theirs}.weight", f"{ours}/bias": f"{theirs}.bias"} | statistics


def _mbconv(ours: str, theirs: str) -> dict[str, str]:
    found = {f"{ours}/expand/kernel": f"{theirs}.conv1_1x1.weight", f"{ours}/depthwise/kernel": f"{theirs}.conv2_kxk.weight"}
    for here, there in {"pre_norm": "pre_norm", "expand_norm": "norm1", "depthwise_norm": "norm2"}.items():
        found |= _norm(f"{ours}/{here}", f"{theirs}.{there}", batch=True)
    for here, there in {"squeeze_excite/reduce": "se.fc1", "squeeze_excite/expand": "se.fc2", "shrink": "conv3_1x1"}.items():
        found |= _dense(f"{ours}/{here}", f"{theirs}.{there}")
    return found


def _transformer(ours: str, theirs: str, pooled: bool) -> dict[str, str]:
    found = {f"{ours}/attention/relative_bias": f"{theirs}.attn.rel_pos.relative_position_bias_table"}
    for here, there in {"attention_norm": "norm1.norm" if pooled else "norm1", "mlp_norm": "norm2"}.items():
        found |= _norm(f"{ours}/{here}", f"{theirs}.{there}")
    denses = {"attention/qkv": "attn.qkv", "attention/out": "attn.proj", "mlp_expand": "mlp.fc1", "mlp_shrink": "mlp.fc2"}
    for here, there in denses.items():
        found |= _dense(f"{ours}/{here}", f"{theirs}.{there}")
    return found


def names(spec: CoAtNetSpec) -> dict[str, str]:
    """Returns timm's name of every weight and running statistic by its '/'-joined name here."""
    found = (
        _dense("stem_conv0", "stem.conv1") | _norm("stem_norm", "stem.norm1", batch=True) | _dense("stem_conv1", "stem.conv2")
    )
    channels = spec.stem[-1]
    for stage, (kind, width, depth, stride) in enumerate(spec.stages):
        for position in range(depth):
            ours, theirs = f"stage{stage}_block{position}", f"stages.{stage}.blocks.{position}"
            pooled = position == 0 and stride > 1
            found |= _mbconv(ours, theirs) if kind == "C" else _transformer(ours, theirs, pooled)
            if pooled or channels != width:
                found |= _dense(f"{ours}/shortcut", f"{theirs}.shortcut.expand")
            channels = width
    return found | _norm("head_norm", "head.norm") | _dense("head_hidden", "head.pre_logits.fc") | _dense("head", "head.fc")
