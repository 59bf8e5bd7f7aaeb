"""The receiver of webhooks: it keeps on disk what vendors deliver, for taps to read.

``settings`` what a user hands in · ``spool`` the log on disk · ``writer`` the thread that writes it, many deliveries a
commit · ``app`` one delivery, from the request to the answer · ``metrics`` what it tells of itself · ``server`` the
HTTP server · ``check`` what vendors have registered against what is listened to · ``cli`` the command.

Taps do not import this package, nor this package them: the spool's file is what they share.
"""
