"""How each fix shows that its new code runs."""
from .hda import Hda
from .net_pad import NetPad
from .nvme_sriov import NvmeSriov
from .plan9 import Plan9
from .sdhci import Sdhci
from .uhci import Uhci
from .vdpa import Vdpa
from .virtio_bh import VirtioBh
from .vmcb import Vmcb

PROOFS = {
    "cve-2023-2861-9pfs": Plan9,
    "cve-2023-3301-vdpa": Vdpa,
    "cve-2024-26328-nvme-sriov": NvmeSriov,
    "cve-2024-3446-virtio-bh": VirtioBh,
    "cve-2024-3447-sdhci": Sdhci,
    "cve-2024-8354-uhci": Uhci,
    "cve-2025-12464-net-pad": NetPad,
    "hda-setup-leak": Hda,
    "i386-vmcb-valid": Vmcb,
}
