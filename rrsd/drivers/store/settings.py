"""What the store can be told."""

from attrs import frozen

from rrsd.core.values.settings import Size, key


@frozen
class Settings:
    """The `[store]` section."""

    path: str = key(
        "folder of the database and of the stored bytes; made with mode 0700 if missing", "/var/lib/rrsd/store"
    )
    keep_free: Size = key("bytes of the disk that stay free; what would use them is refused", Size(1 << 30))
    commit_batch: int = key("most changes that one commit of the database makes durable", 512)
    in_flight: Size = key("bytes of one transfer in memory above which its sender is paused", Size(4 << 20))
    small: Size = key("largest transfer that is kept in memory and written at once", Size(1 << 20))
