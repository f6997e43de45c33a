"""The list of cut-offs in a SQL database: what is asked, and in which order what is added becomes visible."""

import secrets
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, bindparam, case, func, insert, literal, select, true, update

from guestpass.errors import StoreUnavailable
from guestpass.records import AddCutoff, BeginEpoch, Cutoff, CutoffPage, Ending, Epoch, FindCutoff, ReadCutoffs
from guestpass.stores import rows
from guestpass.stores.helpers import changed, inserted, storable
from guestpass.stores.instants import Instants
from guestpass.stores.sessions import ended_by
from guestpass.stores.tables import cutoffs, revocations

_cutoff, _list = cutoffs.c, revocations.c

# The row is there already, or somebody else has just made it.
_TRIES: Final = 3

_ONE: Final = 1
_NEXT: Final = update(revocations).where(_list.id == _ONE).values(position=_list.position + 1).returning(_list.position)
_EPOCH: Final = select(_list.epoch, _list.started_ms, _list.after_loss).where(_list.id == _ONE)

# As one statement, so that a page is of one instant; the inner limit, so that it reads no more than the page.
_some = (
    select(_cutoff.name, _cutoff.at_ms, _cutoff.expires_at, _cutoff.position.label("place"))
    .where(_cutoff.position > bindparam("after"))
    .order_by(_cutoff.position)
    .limit(bindparam("limit"))
    .subquery()
)
_PAGE: Final = (
    select(revocations, _some)
    .select_from(revocations.outerjoin(_some, true()))
    .where(_list.id == _ONE)
    .order_by(_some.c.place)
)


class ListMissing(StoreUnavailable):
    """Somebody dropped the row that says which epoch this is; `make_list` makes another."""

    def __init__(self) -> None:
        super().__init__("the store did not answer: somebody keeps dropping what says which epoch its list is of")


def find_cutoff(connection: Connection, question: FindCutoff, _: Instants) -> int | None:
    names = [name for name in question.names if storable(name)]
    latest = select(func.max(_cutoff.at_ms)).where(_cutoff.name.in_(names)).scalar_subquery()
    row = connection.execute(select(revocations, latest.label("latest_ms")).where(_list.id == _ONE)).first()
    if row is None:
        raise ListMissing
    return ended_by(row.latest_ms, _epoch(row))


def read_cutoffs(connection: Connection, question: ReadCutoffs, _: Instants) -> CutoffPage:
    found = connection.execute(_PAGE, {"after": question.after, "limit": question.limit + 1}).all()
    if not found:
        raise ListMissing
    page = [row for row in found if row.name is not None]
    position, more = found[0].position, len(page) > question.limit
    page = page[: question.limit]
    cutoffs = tuple(Cutoff(row.name, row.at_ms, rows.unending(row.expires_at)) for row in page)
    reached = position if not more else page[-1].place if page else question.after
    return CutoffPage(_epoch(found[0]), position, reached, cutoffs)


def add_cutoff(connection: Connection, question: AddCutoff, instants: Instants) -> Cutoff:
    return put(connection, question.ending, instants)


def put(connection: Connection, ending: Ending, instants: Instants) -> Cutoff:
    """Put a cut-off at the end of the list. Last in its transaction: from here on other writers of the list wait."""
    position = _next(connection, instants)
    expires_at = rows.instant(ending.expires_at)
    at_ms = instants.now() if ending.at_ms is None else literal(ending.at_ms, BigInteger)
    later = (
        update(cutoffs)
        .where(_cutoff.name == ending.name)
        .values(
            at_ms=case((_cutoff.at_ms < at_ms, at_ms), else_=_cutoff.at_ms),
            expires_at=None
            if expires_at is None
            else case((_cutoff.expires_at < expires_at, expires_at), else_=_cutoff.expires_at),
            position=position,
        )
        .returning(_cutoff.at_ms, _cutoff.expires_at)
    )
    row = connection.execute(later).first()
    if row is None:
        new = insert(cutoffs).values(name=ending.name, at_ms=at_ms, expires_at=expires_at, position=position)
        row = connection.execute(new.returning(_cutoff.at_ms, _cutoff.expires_at)).one()
    return Cutoff(ending.name, row.at_ms, rows.unending(row.expires_at))


def begin_epoch(connection: Connection, question: BeginEpoch, instants: Instants) -> Epoch:
    # Positions count on, so that whoever starts at 0 still finds every cut-off there is.
    another = (
        update(revocations)
        .where(_list.id == _ONE, _list.epoch == question.known)
        .values(epoch=secrets.token_hex(16), started_ms=instants.now(), after_loss=True)
    )
    if storable(question.known):
        changed(connection, another)
    row = connection.execute(_EPOCH).first()
    if row is None:
        make_list(connection, instants)
        row = connection.execute(_EPOCH).first()
    if row is None:
        raise ListMissing
    return _epoch(row)


def make_list(connection: Connection, instants: Instants) -> None:
    """Make the row that says which epoch this is, unless it is there. Cut-offs that are there stay in the list."""
    row = {
        "id": _ONE,
        "epoch": secrets.token_hex(16),
        "started_ms": connection.scalar(select(instants.now())),
        "after_loss": False,
        "position": connection.scalar(select(func.coalesce(func.max(_cutoff.position), 0))),
    }
    inserted(connection, revocations, row)


def _next(connection: Connection, instants: Instants) -> int:
    for _ in range(_TRIES):
        position: int | None = connection.scalar(_NEXT)
        if position is not None:
            return position
        make_list(connection, instants)
    raise ListMissing


def _epoch(row: Any) -> Epoch:
    return Epoch(row.epoch, row.started_ms, row.after_loss)
