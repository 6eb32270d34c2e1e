"""A plot as a part of a page: an inline SVG with the page's colours, a description, and names that clash with no
other's."""

import re

from .colours import themed


def inline(text, name, title, description, escape):
    """SVG file as text -> <svg> element. name: of the picture, once a page; escape: for text put into markup."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    name = identifier(name)
    text = re.sub(r'\bid="([^"]*)"', r'id="{}-\1"'.format(name), text)
    text = re.sub(r"url\(#([^)]*)\)", r"url(#{}-\1)".format(name), text)
    text = re.sub(r'\b(?:xlink:)?href="#([^"]*)"', r'href="#{}-\1"'.format(name), text)
    box = re.search(r'viewBox="[^"]*"', text).group(0)
    told = '<title id="{0}-title">{1}</title><desc id="{0}-desc">{2}</desc>'.format(
        name, escape(title), escape(description)
    )
    opening = '<svg {} role="img" aria-labelledby="{}-title" aria-describedby="{}-desc">{}'.format(
        box, name, name, told
    )
    text = re.sub(r"<svg\b[^>]*>", lambda _: opening, text, count=1)
    return themed(text)


def identifier(name):
    """A name -> what may stand as an id."""
    return re.sub(r"[^A-Za-z0-9-]", "-", name)
