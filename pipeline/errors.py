"""The one error that is meant for people, and what is said by it everywhere."""


class UserError(Exception):
    """Something the user can mend: says what was wrong, where, and what to do.

    The command line prints it in a line or two and exits with code 2; everything
    else that is raised is our own mistake and keeps its traceback.
    """


def check_shares(**values: float) -> None:
    """An error for people if a threshold is no share; each by its option's name."""
    for name, value in values.items():
        if not 0 <= value <= 1:
            option = name.replace("_", "-")
            raise UserError(f"--{option} {value:g}: expected a number between 0 and 1")
