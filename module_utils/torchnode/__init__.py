"""torchnode: what machines have, what fits them, what is missing, and whether it works.

One import name everywhere: ``ansible.module_utils.torchnode``. Code here runs on nodes with
Python 3.9 or later and nothing but the standard library, unless a module says otherwise.
"""
