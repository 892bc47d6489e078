"""What holds for every test."""

import signal

# A shell has SIGINT and SIGQUIT, and nohup SIGHUP, ignored in what it starts in the
# background, and children inherit that: tests that send these signals would wait for
# ever.
for _number, _default in (
    (signal.SIGINT, signal.default_int_handler),
    (getattr(signal, "SIGHUP", None), signal.SIG_DFL),
    (getattr(signal, "SIGQUIT", None), signal.SIG_DFL),
):
    if _number is not None and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _default)
