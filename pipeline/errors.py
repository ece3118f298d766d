"""The one error that is meant for people."""


class UserError(Exception):
    """Something the user can mend: says what was wrong, where, and what to do.

    The command line prints it in a line or two and exits with code 2; everything
    else that is raised is our own mistake and keeps its traceback.
    """
