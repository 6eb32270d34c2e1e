"""What a model card says that nothing measures: conventions, what a family is not good for, licences."""

BITS = (
    "Convention: bits/dim = 8 - log2 p(x) / D with x = (x8 + u) / 256, u uniform in [0, 1) and p the density of x in "
    "[0, 1]^D, the tone curve's Jacobian included; a uniform model has exactly 8. One draw of u an image is an upper "
    "bound."
)
BCE = (
    "Convention: BCE+KL is the sum over an image's pixels in nats, on grey pixels; it is no likelihood. ELBO and IWAE "
    "are of binarised pixels, by the rule in their note."
)
BOUND = (
    "Convention: bits/dim = 8 - log2(p(x) / q(u)) / D with x = (x8 + u) / 256, u a draw from q, the density on "
    "[0, 1]^D of the flow's dequantiser (graph `dequantise`), and p the density of x in [0, 1]^D, the tone curve's "
    "Jacobian included. One draw of u an image is an upper bound; so is it with uniform noise, q = 1, a looser one. A "
    "uniform model has exactly 8."
)
SHARE = (
    "Accuracy is the share of samples that an independent classifier, the judge, takes for their label; FID and KID "
    "use its features and can be compared within this project only."
)
LIMITS = {
    "RealNVP": [
        "Telling strange images from familiar ones by their likelihood: flows give some foreign images a higher one "
        "(Nalisnick et al., arXiv:1810.09136).",
        "Samples at temperature 1 without a look: some fall apart; 0.7 to 0.8 costs variety and looks better.",
    ],
    "VAE": [
        "Sharp texture: a decoder trained on pixel by pixel errors gives the average of what fits, which is soft.",
        "Comparing likelihoods with those of other models: BCE+KL on grey pixels is none.",
    ],
    "GAN": [
        "Likelihoods, encoding, or telling strange images from familiar ones: it only generates.",
        "Covering everything that a class holds: rare variants may be missing.",
    ],
}
LICENCES = {
    "fashion-mnist": "FashionMNIST is Zalando's, MIT licence (arXiv:1708.07747)",
    "fashion-sample": "FashionMNIST is Zalando's, MIT licence (arXiv:1708.07747)",
    "mnist": "MNIST is Yann LeCun's and Corinna Cortes', made from NIST's data; it is commonly given under the "
    "Creative Commons Attribution-Share Alike 3.0 licence",
    "cifar10": "CIFAR-10 (Krizhevsky, 2009) comes without a stated licence",
}


def convention(bundle, evaluations):
    """How the figures of these evaluations are defined."""
    names = {name for evaluation in evaluations for name in evaluation["figures"]}
    bits = BOUND if "dequantise" in bundle.graphs else BITS
    texts = [
        text
        for text, heads in ((bits, ("bits_per_dim",)), (BCE, ("bce_kl",)), (SHARE, ("accuracy", "fid", "kid")))
        if names & set(heads)
    ]
    return "\n\n".join(texts) or f"Each figure's note says how it is defined ({bundle.family})."


def limits(bundle):
    """What the bundle is not good for, as sentences."""
    size = "x".join(map(str, bundle.image))
    own = f"Images of another kind than its training set, or of another size than {size}."
    between = ["Classes between its own: mixed labels are smooth, but what comes out need not be a thing."]
    return [own, *LIMITS.get(bundle.manifest["model"]["class"], []), *(between if bundle.classes else [])]


def licence(data):
    """Of the weights, and of what they were trained on."""
    told = LICENCES.get(data, f"'{data}' belongs to its owners: look at its licence before you pass the weights on")
    return f"The weights: MIT, as this project. The data: {told}."
