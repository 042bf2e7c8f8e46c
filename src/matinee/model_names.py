"""The models by name and role: a model that stands here is known to the commands, their help, and manifests.

A model is imported only when it is named, so that a command's help needs none of them.
"""

RATERS = {"bayes": "bayes.Bayes", "als": "als.ALS", "bias": "baselines.Bias"}
"""{name: config below matinee.models} of the models that predict stars, the default first."""
RANKERS = {"ease": "ease.Ease", "ials": "ials.IALS", "blend": "blend.Blend", "popular": "baselines.Popular"}
"""The same of the models that order lists."""
MODELS = {**RATERS, **RANKERS}
