"""
A transport of a connection that keeps what is written.
"""

from attrs import define


@define
class Transport:
    """
    Keeps what is written, and whether it was closed.
    """

    written: bytes = b""
    closed: bool = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_extra_info(self, name: str) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0
