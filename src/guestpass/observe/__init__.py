"""Observers that are ready-made: ``Guard(…, observe=…)`` takes one or several.

`guestpass.observe.logs` writes events to `logging`, `guestpass.observe.opentelemetry` makes metrics and span attributes
of them (``pip install "guestpass[otel]"``). One of your own is a function that is called with each event of
`guestpass.events`.
"""
