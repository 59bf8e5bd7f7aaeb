"""One page that says how business goes, made from the marts of ``transform/``.

``cli`` reads the marts (``marts``), has every part of the page say what it has to say (``sections``), and writes the
page (``page``, ``templates/``). A section returns plain content (``content``): sentences (``wording``), figures and
charts (``charts``), which ``theme`` draws.
"""
