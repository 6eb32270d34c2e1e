"""What training raises on purpose (it imports nothing of the runtime, so it has its own).

TrainError
|-- DataError        images or labels that are missing, damaged or of the wrong kind
|-- CheckpointError  a checkpoint that is missing, damaged or of another model
|-- NotFiniteError   a loss or a gradient that is no number any more
|-- SettingsError    an option that does not fit
|-- EvaluationError  a model whose outputs cannot be measured
`-- StudyError       a study that cannot be read, run or reported
"""


class TrainError(Exception):
    """Base of what training raises on purpose."""


class DataError(TrainError):
    """Images or labels are missing, damaged, or of the wrong kind."""


class CheckpointError(TrainError):
    """A checkpoint is missing, damaged, or of another model."""


class NotFiniteError(TrainError):
    """A loss or a gradient is no number any more."""


class SettingsError(TrainError):
    """An option does not fit."""


class EvaluationError(TrainError):
    """A model's outputs cannot be measured."""


class StudyError(TrainError):
    """A study's file, its storage or its results do not fit."""
