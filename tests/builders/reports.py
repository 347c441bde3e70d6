"""Reports as verify returns them, made by hand."""

from __future__ import annotations

import io
from unittest import mock

from ckpttool.findings import portable as paths_in_reports
from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, Verdict, finding
from ckpttool.findings.inventory import Item, Standing
from ckpttool.findings.pictures import Picture, Reconstruction
from ckpttool.findings.results import (
    AgainstSummary,
    ConfigurationFile,
    Coverage,
    Diagnosis,
    FileReport,
    ForwardSummary,
    GroupCoverage,
    Loading,
    LockSummary,
    Mismatch,
    OutputSummary,
    PositionTable,
    Report,
    ValuesSummary,
    Waived,
)
from ckpttool.findings.rules import Rule, Severity
from ckpttool.findings.statistics import (
    BlockHistogram,
    Histogram,
    Statistics,
    TensorStatistics,
)
from ckpttool.reports import reporter
from tests.builders import extras

#: Clears the screen, ends the line, annotates a CI log and turns the line's direction.
HOSTILE = "\x1b[2J\n::error::pwned ##[error]\u202e"

DECODER = tuple(f"decoder_blocks.{number}.norm1.weight" for number in range(104))


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def portable_from(report: Report, folder: str = "/work") -> Report:
    """The report as it is kept where ``folder`` is the working folder."""
    with mock.patch.object(paths_in_reports, "_working_folder", return_value=folder):
        return paths_in_reports.portable(report)


def encoder_only() -> FileReport:
    """The published encoder, as it should look."""
    encoder = GroupCoverage(294, 294, (), (), 303_301_632, 303_301_632)
    decoder = GroupCoverage(104, 0, DECODER, (), 26_240_256, 0)
    output = OutputSummary((2, 50, 1024), 0.0, 1.0, -4.0, 4.0, True, (0.5, -1.25))
    return FileReport(
        "data/mae_pretrain_vit_large.pth",
        Verdict.PASS,
        (finding(rules.DECODER_ABSENT, "decoder absent"),),
        "torch-zip",
        1_213_290_000,
        "model",
        "facebook",
        294,
        303_301_632,
        "ckpt1:" + "0123456789abcdef" * 4,
        Coverage("mae_vit_large_patch16", {"encoder": encoder, "decoder": decoder}, ()),
        ValuesSummary(
            294,
            0,
            0,
            0,
            294,
            0,
            {"pos_embed": 2.98e-8},
            {
                "pos_embed": PositionTable(
                    "sin-cos", "sin-cos at 14 x 14", 2.98e-8, 2.98e-8, 1e-6, (14, 14)
                )
            },
        ),
        ForwardSummary("run", None, "encoder", "cpu", 50, {"features": output}, 3.04, None, (1, 3)),
        unchecked=("where the file comes from (--published)",),
        loading=Loading(
            398, 329_541_888, 294, 303_301_632, 294, 303_301_632, 0, {"decoder": 104}, None
        ),
        diagnosis=Diagnosis(
            "encoder",
            "mae_vit_large_patch16",
            "the encoder of mae_vit_large_patch16: for features and fine-tuning",
            "by 294 of 294 names and shapes",
            ("16 heads: those of ViT-L",),
            "ckpttool convert data/mae_pretrain_vit_large.pth --to safetensors",
        ),
    )


def incomplete() -> FileReport:
    """A hole in the encoder, a wrong shape, NaN, and half a decoder."""
    wrong = Mismatch("norm.weight", (1024,), "float32", (768,), "float32")
    whole = encoder_only()
    assert whole.coverage is not None
    encoder = whole.coverage.groups["encoder"]._replace(
        matched=292, missing=("blocks.7.norm1.weight",), mismatched=(wrong,), covered=303_299_584
    )
    decoder = whole.coverage.groups["decoder"]._replace(matched=52, missing=DECODER[:52], covered=1)
    groups = {"encoder": encoder, "decoder": decoder}
    return whole._replace(
        verdict=Verdict.FAIL,
        findings=(
            finding(
                rules.MISSING_ENCODER, "1 encoder tensor missing", tensors=["blocks.7"], fix="f"
            ),
            finding(rules.SHAPE, "a", tensors=["norm.weight"], expected="[1024]", found="[768]"),
            finding(rules.SHAPE, "b", tensors=["norm.bias"], expected="[1024]", found="[768]"),
            finding(rules.NAN, "3 numbers: NaN", tensors=["cls_token"]),
        ),
        fingerprint=None,
        coverage=whole.coverage._replace(groups=groups, unexpected=("head.weight",)),
        values=ValuesSummary(293, 2, 1, 1, 0, 0, {}),
        forward=ForwardSummary("not-run", "the encoder is not complete"),
    )


def hostile() -> FileReport:
    """Untrusted text in every field that can hold some."""
    odd = finding(rules.UNEXPECTED, HOSTILE, tensors=[HOSTILE], expected=HOSTILE, found=HOSTILE)
    whole = encoder_only()
    assert whole.coverage is not None
    return whole._replace(
        path=HOSTILE,
        wrapper=HOSTILE,
        findings=(odd, odd._replace(tensors=()), odd._replace(fix=HOSTILE)),
        coverage=whole.coverage._replace(unexpected=(HOSTILE,)),
        forward=ForwardSummary("not-run", HOSTILE),
        unchecked=(HOSTILE,),
    )


def not_finite() -> FileReport:
    """Numbers that JSON has no form for."""
    output = OutputSummary(
        (1,), float("nan"), float("inf"), float("-inf"), 0.0, False, (float("nan"),)
    )
    return encoder_only()._replace(
        forward=ForwardSummary("run", None, "encoder", "cpu", 50, {"features": output})
    )


def whole_model() -> FileReport:
    """Everything that can be known of a file, with encoder, decoder and their outputs."""
    output = OutputSummary((2, 50, 1024), 0.0, 1.0, -4.0, 4.0, True, (0.25, -1.5e-07, 3.0))
    outputs = {"features": output, "pred": output._replace(shape=(2, 196, 768))}
    forward = ForwardSummary("run", None, "full", "cpu", 50, outputs, 3.04, 1.25, (0, 3, 7))
    return encoder_only()._replace(forward=forward, published="mae_pretrain_vit_large.pth")


def of_code(text: str = "my.models:Net") -> FileReport:
    """A model of somebody's code, which gives its outputs names of its own."""
    whole = encoder_only()
    assert whole.loading is not None
    output = OutputSummary((2, 10), 0.0, 1.0, -4.0, 4.0, True, (0.25,))
    return whole._replace(
        schema_from=f"from code: {text} was imported and run",
        quantized=f"2 weights: GPTQ, as {text} says",
        loading=whole.loading._replace(loader="from_pretrained"),
        forward=ForwardSummary(
            "run", None, "full", "cpu", None, {text: output}, inputs=text, unused=(text,)
        ),
    )


def measured(text: str = "blocks.0.attn.qkv.weight") -> FileReport:
    """A file with statistics of its tensors, among them what has no numbers."""
    sampled = Histogram(-0.25, 0.5, (0, 40, 3), 43, 2, 1)
    tensors = (
        TensorStatistics(
            text,
            "float32",
            (3072, 1024),
            "encoder",
            0,
            text,
            3_145_728,
            -0.25,
            0.5,
            0.125,
            0.03125,
            float("inf"),
            7,
            1,
            2,
            sampled,
        ),
        TensorStatistics(text, "complex64", (0,), None, None, text, 0, unmeasured=text),
    )
    blocks = (BlockHistogram("encoder", 0, 1, 3_145_725, sampled),)
    return encoder_only()._replace(statistics=Statistics(tensors, blocks))


def pictured(text: str = "pictures/cat.png") -> FileReport:
    """A file with a reconstruction of an image."""
    pictures = (Picture(3, 2, bytes(range(start, start + 18))) for start in (0, 60, 120, 238))
    told = ("whole, resized from 9 x 6 to 3 x 2 pixels", 6, 4, 0.25, 0.75, False, text)
    return encoder_only()._replace(reconstructions=(Reconstruction(text, *told, *pictures),))


def unreadable() -> FileReport:
    """A file that could not be opened."""
    missing = finding(rules.UNREADABLE, "no such file")
    return FileReport("missing.pth", Verdict.CANNOT_TELL, (missing,))


def locked() -> FileReport:
    """A file compared with a lock file: findings on tensors that it has, and on one it has not."""
    return incomplete()._replace(
        lock="weights.lock",
        lock_lines={"cls_token": 12, "norm.bias": 300, "norm.weight": 301, "pos_embed": 302},
        locked=LockSummary("weights.pth", 294, 291, 0.25, 1e-5),
        against=AgainstSummary(
            "base.pth", "model", "checkpoint", 294, 303_301_632, 290, 302_000_000, 281, 1, 12, "all"
        ),
        configuration=ConfigurationFile("ckpttool.toml", "ab" * 32),
        fail_on=Severity.WARNING,
    )


def waived() -> FileReport:
    """A file that passes because somebody answers for what is wrong with it."""
    whole = incomplete()
    first, *others = whole.findings
    return whole._replace(
        verdict=Verdict.PASS,
        findings=(finding(rules.DECODER_ABSENT, "decoder absent"),),
        waived=(
            Waived(first, "the block is pruned", "vision team", "2027-01-31"),
            *(Waived(one, "known") for one in others),
        ),
    )


def many(number: int) -> FileReport:
    """As many errors, warnings and notes as asked for, each about a tensor of its own."""
    kinds = (rules.UNEXPECTED, rules.CONSTANT_VECTOR, rules.NAN)
    findings = [
        finding(rule, f"of {rule.name}", tensors=[f"tensor.{at}"])
        for rule in kinds
        for at in range(number)
    ]
    heaviest = sorted(findings, key=lambda found: -found.severity.weight)
    return incomplete()._replace(findings=tuple(heaviest))


def run_finding() -> Finding:
    """Something about the run, and none of its files."""
    return finding(rules.WAIVER_UNUSED, "the waiver of NUM001 covers nothing")


def newer() -> FileReport:
    """A finding of a rule that this version does not know."""
    rule = Rule("QNT007", "not-yet-known", Severity.ERROR, "Not yet known.", "Wait.")
    return incomplete()._replace(findings=(finding(rule, "something new", tensors=["a.b"]),))


def inventory(text: str = "events.out") -> tuple[Item, ...]:
    """A file of every standing."""
    return (
        Item("r/model.pth", Standing.CHECKED, "torch-zip", "../../blobs/ab"),
        *(Item(f"r/{each.value}", each, text) for each in Standing),
        Item(f"r/{text}", Standing.UNSEEN, text, text, weighty=True),
        Item("r/.git/", Standing.UNSEEN, "folder of a tool"),
    )


def report(*files: FileReport) -> Report:
    return Report(files)


def rendered(report: Report, name: str) -> str:
    """A report in a format."""
    if name == "html":
        extras.pages()
    stream = io.StringIO()
    reporter(name)(report, stream)
    return stream.getvalue()


#: Everything that a reporter may meet, by name.
SPECIMENS: dict[str, Report] = {
    "passes": report(encoder_only()),
    "fails": report(incomplete()),
    "cannot be told": report(unreadable()),
    "hostile": report(hostile()),
    "everything known": report(whole_model()),
    "numbers that are not finite": report(not_finite()),
    "of somebody's code": report(of_code()),
    "of hostile code": report(of_code(HOSTILE)),
    "with statistics": report(measured()),
    "with hostile statistics": report(measured(HOSTILE)),
    "with a reconstruction": report(pictured()),
    "with a hostile reconstruction": report(pictured(HOSTILE)),
    "with a lock file": report(locked()),
    "waived": report(waived()),
    "of a newer version": report(newer()),
    "many findings": report(many(30)),
    "several files": report(encoder_only(), incomplete(), unreadable(), locked()),
    "the run itself": Report((encoder_only(),), (run_finding(),), Severity.WARNING),
    "hostile run": Report(
        (hostile(), waived()), (run_finding()._replace(message=HOSTILE),), Severity.NOTE
    ),
    "no file": report(),
    "a folder": Report((encoder_only(),), inventory=inventory()),
    "a hostile folder": Report((hostile(), waived()), inventory=inventory(HOSTILE)),
    "nothing but other files": Report((), inventory=inventory()),
}
