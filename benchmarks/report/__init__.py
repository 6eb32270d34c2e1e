"""A run for readers. Contents: text (terminal), page (HTML, Markdown, PNG) of sections of tables and pictures."""

from .text import shown

__all__ = ["shown"]
