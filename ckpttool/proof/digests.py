"""Proving from digests alone, where a receipt or a lock file stands in for A.

Equal digests prove equal elements, so what kept all of them is proven: identical, renamed, tied.
What needs A's elements (a cast, a split, a merge) is left open, and said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Mapping, Sequence

from ckpttool.comparison.numbers.compare import SideError
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, UnsupportedError
from ckpttool.findings.finding import Verdict
from ckpttool.findings.patterns import matches_glob
from ckpttool.inputs.receipts import Digest
from ckpttool.models.canonical import canonicalize
from ckpttool.models.schema_file import described
from ckpttool.proof.absent import called, check_patterns
from ckpttool.proof.paired import paired
from ckpttool.proof.result import Explained, Missing, Operation, Proof, ProofOutcome, Unexplained
from ckpttool.tensors.catalogue import Checkpoint
from ckpttool.tensors.values import start_values

if TYPE_CHECKING:
    from ckpttool.findings.results import FileReport
    from ckpttool.inputs.receipts import Receipt
    from ckpttool.models.canonical import Canonical
    from ckpttool.proof.links import Link
    from ckpttool.proof.options import ProveOptions
    from ckpttool.tensors.values import Values

#: What is left to do where digests are not enough.
NAME_THE_CHECKPOINT = "Name the checkpoint itself with --from: its elements are needed."
_NEEDED = "A is known by its digests alone; name the checkpoint to prove it"


def refuse_what_needs_elements(receipt: Receipt, options: ProveOptions) -> None:
    """Raise UnsupportedError for options that need A's elements, of which there are digests."""
    if options.adapters:
        raise UnsupportedError(
            "an adapter is added to A's elements, and there are digests alone",
            rules.UNSUPPORTED,
            path=receipt.path,
            fix=NAME_THE_CHECKPOINT,
        )


def prove_digests(
    receipt: Receipt,
    made: Checkpoint,
    canonical: Canonical,
    options: ProveOptions,
    reports: tuple[FileReport, FileReport],
) -> Proof:
    """Prove what digests can prove.

    Args:
        receipt: what lists A's digests.
        made: B.
        canonical: B's tensors under canonical names.
        options: those of the run.
        reports: on A and on B.

    Raises:
        SideError: B could not be read, or changed meanwhile.
        UsageError: a pattern of names matches none.
    """
    return _Digests(receipt, made, canonical, options).prove(*reports)


class _Digests:
    """One proof from digests."""

    def __init__(
        self, receipt: Receipt, made: Checkpoint, canonical: Canonical, options: ProveOptions
    ) -> None:
        self._receipt = receipt
        self._made = made
        self._options = options
        # names, types and shapes pair as those of a file do; nothing of it is ever read
        tensors = {
            name: described(name, digest.dtype, digest.shape)
            for name, digest in receipt.tensors.items()
        }
        stand_in = Checkpoint(receipt.path, "receipt", (), tensors)
        self._paired = paired(
            (stand_in, made), (canonicalize(tensors), canonical), options.rules, ()
        )
        self._found = self._read()

    def prove(self, source: FileReport, made: FileReport) -> Proof:
        """Return the result."""
        pairing = self._paired.pairing
        names = [*self._paired.source, *self._paired.names.tensors]
        check_patterns(self._options.allow_missing, names)
        explained: list[Explained] = []
        unexplained: list[Unexplained] = []
        held: set[str] = set()
        links, _ = self._paired.links()
        for link in links:
            reason, doubt = self._judged(link)
            held.update(link.sources)
            if reason is None:
                done = tuple(self._paired.operations(link)) or (Operation.IDENTICAL,)
                explained.append(Explained(link.names, link.sources, done))
            else:
                unexplained += [
                    self._unexplained(name, reason, doubt, link.sources) for name in link.names
                ]
        explained += self._by_content(explained, pairing.only_left, pairing.only_right)
        held.update(name for one in explained for name in one.sources)
        there = {name for one in explained for name in one.names}
        for name in pairing.only_right:
            for own in called(pairing, 1, name):
                if own not in there:
                    left = [one for one in pairing.only_left if one not in held]
                    unexplained.append(self._without_source(name, own, bool(left)))
        unexplained += [
            Unexplained(name, None, None, (), f"it is of a kind that is not read: {reason}", True)
            for name, reason in self._made.unread
        ]
        missing = tuple(self._missing(held))
        self._check_unchanged()
        order = {name: place for place, name in enumerate(self._paired.made.tensors)}
        unexplained.sort(key=lambda one: order.get(one.name, len(order)))
        trouble = any(file.verdict is not Verdict.PASS for file in (source, made))
        return Proof(
            made,
            source,
            ProofOutcome.CANNOT_TELL if trouble else _outcome(unexplained, missing),
            tuple(explained),
            tuple(unexplained),
            missing,
            notes=(
                f"the elements of A, of which the {self._receipt.kind} has digests, and what it "
                "says of how A was made",
            ),
            digests_from=self._receipt.kind,
        )

    def _read(self) -> Values:
        """Return digests of B's tensors, under the names that are paired."""
        tensors = self._paired.pairing.right.tensors
        workers, executor = self._options.workers, self._options.executor
        try:
            with start_values(tensors, (), workers=workers, executor=executor) as run:
                return run.result()
        except CkpttoolError as error:
            raise SideError(1, error) from error

    def _digest_of(self, link: Link) -> Digest | None:
        """Return the digest of A's tensor; ``None`` if it is made of parts, or transposed."""
        if len(link.sources) != 1:
            return None
        rows = self._paired.naming.rows.get(link.match.left, ()) if self._paired.naming else ()
        known = self._receipt.tensors.get(link.sources[0])
        if known is None or any(one.transposed for one in rows):
            return None
        return known if known.shape == link.pair.left.shape else None

    def _judged(self, link: Link) -> tuple[str | None, bool]:
        """Return why a link is not explained, and whether nothing is known of it."""
        name = link.match.right
        if name in self._found.skipped:
            return self._found.skipped[name], True
        digest = self._digest_of(link)
        right = link.pair.right
        if digest is None:
            return f"it is made of parts or of a transpose: {_NEEDED}", True
        if digest.shape != right.shape:
            return f"A's has the shape {list(digest.shape)}", False
        if digest.dtype != right.dtype.name:
            return f"A's is {digest.dtype}, and may be cast to this: {_NEEDED}", True
        if digest.sha256 != self._found.tensors[name].digest:
            return "its digest is another one than A's", False
        return None, False

    def _by_content(
        self, explained: Sequence[Explained], left: Sequence[str], right: Sequence[str]
    ) -> list[Explained]:
        """Return what digests explain of tensors without a partner: renamed or tied."""
        pairing = self._paired.pairing
        known: dict[Digest, list[str]] = {}
        for name in sorted(left, reverse=True):
            own = called(pairing, 0, name)
            if len(own) == 1 and own[0] in self._receipt.tensors:
                known.setdefault(self._receipt.tensors[own[0]], []).append(own[0])
        proven = {name for one in explained for name in one.names}
        found: list[Explained] = []
        tied: dict[Digest, tuple[str, ...]] = {}
        for match in pairing.matches:
            if proven.issuperset(called(pairing, 1, match.right)):
                tied.setdefault(self._digest(match.right), called(pairing, 0, match.left))
        for name in right:
            value = self._found.tensors.get(name)
            if value is None or value.is_constant or not pairing.right.tensors[name].nbytes:
                continue
            digest, names = self._digest(name), called(pairing, 1, name)
            if known.get(digest):
                source = (known[digest].pop(),)
                found.append(Explained(names, source, (Operation.RENAMED,), by_content=True))
                tied.setdefault(digest, source)
            elif digest in tied:
                found.append(Explained(names, tied[digest], (Operation.TIED,), by_content=True))
        return found

    def _digest(self, name: str) -> Digest:
        info = self._paired.pairing.right.tensors[name]
        return Digest(info.dtype.name, info.shape, self._found.tensors[name].digest)

    def _without_source(self, name: str, own: str, left: bool) -> Unexplained:
        value = self._found.tensors.get(name)
        if value is None:
            return self._unexplained(own, self._found.skipped.get(name, _NEEDED), True)
        if value.is_constant and not left:
            reason = "A has no tensor of its name, and one repeated number identifies no tensor"
            return self._unexplained(own, reason, False)
        if left:
            reason = f"A has nothing equal to it, and tensors that it may be made of: {_NEEDED}"
            return self._unexplained(own, reason, True)
        return self._unexplained(own, "A has nothing like it", False)

    def _unexplained(
        self, name: str, reason: str, doubt: bool, sources: tuple[str, ...] = ()
    ) -> Unexplained:
        info = self._paired.made.tensors[name]
        return Unexplained(name, info.dtype.name, info.shape, sources, reason, doubt)

    def _missing(self, held: set[str]) -> Iterator[Missing]:
        same: Mapping[Digest, str] = {
            digest: name for name, digest in self._receipt.tensors.items() if name in held
        }
        allowed = self._options.allow_missing
        for name, digest in self._receipt.tensors.items():
            if name not in held:
                may = any(matches_glob(pattern, name) for pattern in allowed)
                yield Missing(name, digest.dtype, digest.shape, same.get(digest), may)

    def _check_unchanged(self) -> None:
        try:
            self._made.check_unchanged()
        except CkpttoolError as error:
            raise SideError(1, error) from error


def _outcome(unexplained: Sequence[Unexplained], missing: Sequence[Missing]) -> ProofOutcome:
    """Return the outcome: what is missing may be in what nothing is known of."""
    if any(not one.unread for one in unexplained):
        return ProofOutcome.NOT_PROVEN
    if unexplained:
        return ProofOutcome.CANNOT_TELL
    gone = any(not one.allowed for one in missing)
    return ProofOutcome.NOT_PROVEN if gone else ProofOutcome.PROVEN
