"""The program ``bgcamd``: first whoever watches has a card, then the daemon is loaded, which takes a second."""

from __future__ import annotations

from bgcamd.service.keeping import Keeping


def main() -> None:
    """Run the daemon with the command line's options."""
    with Keeping() as keeping:
        from bgcamd.__main__ import main as daemon  # noqa: PLC0415 - it takes the second that the card is for

        daemon(obj=keeping, prog_name="bgcamd")
