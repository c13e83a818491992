"""Lines about the way words were drawn or found."""

from .draw import Drawing, Samples

LEAST_EFFECTIVE = 0.05  # share of independent draws, below which words may be alike
UNPROVEN = "(found by beam search, which may have missed more likely words)"


def method_line(samples: Samples | Drawing) -> str:
    """Return a line about the way words were drawn, and the percentage of the model's words that fit."""
    start = f" that start with {samples.head}" if samples.head else ""
    if samples.effective is not None:
        about = "the mean weight of the model's words" if samples.wishes else "of the model's words"
        mean = f"about {100 * samples.share:.3g}%"
        fit = f"{about}{start} is {mean} of the largest" if samples.wishes else f"{mean} {about}{start} fit"
        share = f"{samples.effective:.0%}" if samples.effective >= 0.01 else "under 1%"
        alike = ", so these words may be unusually alike" if samples.effective < LEAST_EFFECTIVE else ""
        return f"({fit}: drawn by {samples.method}, with an effective sample size of {share}{alike})"
    if samples.wishes and "rejection" in samples.method:
        return f"({100 * samples.share:.3g}% of {samples.tried:,} words drawn{start} were kept, by their weights)"
    if samples.wishes:
        mean = f"{100 * samples.share:.3g}% of the largest"
        return f"(the mean weight of the model's words{start} is {mean}: exact, by {samples.method})"
    if "rejection" in samples.method:
        return f"({100 * samples.share:.3g}% of {samples.tried:,} words drawn{start} fit)"
    if samples.method == "plain":
        return f"({samples.tried:,} words were drawn{start})"
    return f"({100 * samples.share:.3g}% of the model's words{start} fit: exact, by {samples.method})"
