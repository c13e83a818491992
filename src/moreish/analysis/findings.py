"""Results about one run that its pictures and its report share."""

from dataclasses import dataclass
from functools import cached_property

from ..training.run import Run
from .classification import Classifier
from .diagnosis import Diagnosis, as_diagnosis
from .novelty import Novelty, novelty


@dataclass(frozen=True, eq=False)
class Findings:
    """A run with its diagnosis, classifier and novelty, each made when it is first used, and kept.

    seed    of the samples [default: that of the run]
    """

    run: Run
    seed: int | None = None

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """The diagnosis. Raises InputError for a model that has no layers, and for a run that was folded."""
        return as_diagnosis(self.run)

    @cached_property
    def novelty(self) -> Novelty:
        """The novelty of samples, beside that of held-out words."""
        return novelty(self.run, seed=self.seed)

    @cached_property
    def classifier(self) -> Classifier:
        """The classifier of words. Raises InputError for a run without labels."""
        return Classifier(self.run)
