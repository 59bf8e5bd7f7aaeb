"""A thousand accounts, every night, on Kubernetes: no scheduler of its own, just a timetable.

`accounts` reads the list of accounts and refuses what is wrong in it; `timetable` lays the runs side by side so that no
budget of calls is exceeded; `manifests` makes a CronJob of each; `night` simulates a night, also one in which a vendor
is down or throttles; `__main__` is the command line.
"""
