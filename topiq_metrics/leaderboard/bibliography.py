"""Papers of metrics, each in the form that `topiq_metrics.leaderboard.papers.parse_citation` reads."""

from __future__ import annotations

PAPERS = {
    "topiq": (
        "C. Chen, J. Mo, J. Hou, H. Wu, L. Liao, W. Sun, Q. Yan, W. Lin. TOPIQ: a top-down approach from "
        "semantics to distortions for image quality assessment. IEEE Transactions on Image Processing "
        "33:2404-2418, 2024, arXiv 2308.03060"
    ),
    "qfm": (
        "X. Li, T. Gao, R. Hu, et al. Adaptive feature selection for no-reference image quality assessment by "
        "mitigating semantic noise sensitivity. ICML 2024, arXiv 2312.06158"
    ),
    "ssim": (
        "Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli. Image quality assessment: from error visibility to "
        "structural similarity. IEEE Transactions on Image Processing 13(4):600-612, 2004"
    ),
    "ms-ssim": (
        "Z. Wang, E. P. Simoncelli, A. C. Bovik. Multiscale structural similarity for image quality assessment. "
        "Asilomar Conference on Signals, Systems & Computers 2003"
    ),
    "iw-ssim": (
        "Z. Wang, Q. Li. Information content weighting for perceptual image quality assessment. IEEE Transactions "
        "on Image Processing 20(5):1185-1198, 2011"
    ),
    "cw-ssim": (
        "M. P. Sampat, Z. Wang, S. Gupta, A. C. Bovik, M. K. Markey. Complex wavelet structural similarity: a new "
        "image similarity index. IEEE Transactions on Image Processing 18(11):2385-2401, 2009"
    ),
    "vif": (
        "H. R. Sheikh, A. C. Bovik. Image information and visual quality. IEEE Transactions on Image Processing "
        "15(2):430-444, 2006"
    ),
    "fsim": (
        "L. Zhang, L. Zhang, X. Mou, D. Zhang. FSIM: a feature similarity index for image quality assessment. "
        "IEEE Transactions on Image Processing 20(8):2378-2386, 2011"
    ),
    "vsi": (
        "L. Zhang, Y. Shen, H. Li. VSI: a visual saliency-induced index for perceptual image quality assessment. "
        "IEEE Transactions on Image Processing 23(10):4270-4281, 2014"
    ),
    "gmsd": (
        "W. Xue, L. Zhang, X. Mou, A. C. Bovik. Gradient magnitude similarity deviation: a highly efficient "
        "perceptual image quality index. IEEE Transactions on Image Processing 23(2):684-695, 2014"
    ),
    "ms-gmsd": (
        "B. Zhang, P. V. Sander, A. Bermak. Gradient magnitude similarity deviation on multiple scales for color "
        "image quality assessment. ICASSP 2017"
    ),
    "sr-sim": "L. Zhang, H. Li. SR-SIM: a fast and high performance IQA index based on spectral residual. ICIP 2012",
    "haarpsi": (
        "R. Reisenhofer, S. Bosse, G. Kutyniok, T. Wiegand. A Haar wavelet-based perceptual similarity index for "
        "image quality assessment. Signal Processing: Image Communication 61:33-43, 2018"
    ),
    "mdsi": (
        "H. Z. Nafchi, A. Shahkolaei, R. Hedjam, M. Cheriet. Mean deviation similarity index: efficient and "
        "reliable full-reference image quality evaluator. IEEE Access 4:5579-5590, 2016"
    ),
    "dss": (
        "A. Balanov, A. Schwartz, Y. Moshe, N. Peleg. Image quality assessment based on DCT subband similarity. "
        "ICIP 2015"
    ),
    "nlpd": (
        "V. Laparra, J. Ballé, A. Berardino, E. P. Simoncelli. Perceptual image quality assessment using a "
        "normalized Laplacian pyramid. Electronic Imaging 2016"
    ),
    "mad": (
        "E. C. Larson, D. M. Chandler. Most apparent distortion: full-reference image quality assessment and the "
        "role of strategy. Journal of Electronic Imaging 19(1), 2010"
    ),
    "uqi": "Z. Wang, A. C. Bovik. A universal image quality index. IEEE Signal Processing Letters 9(3):81-84, 2002",
    "psnr-b": (
        "C. Yim, A. C. Bovik. Quality assessment of deblocked images. IEEE Transactions on Image Processing "
        "20(1):88-98, 2011"
    ),
    "scc": (
        "J. Zhou, D. L. Civco, J. A. Silander. A wavelet transform method to merge Landsat TM and SPOT "
        "panchromatic data. International Journal of Remote Sensing 19(4):743-757, 1998"
    ),
    "qnr": (
        "L. Alparone, B. Aiazzi, S. Baronti, A. Garzelli, F. Nencini, M. Selva. Multispectral and panchromatic "
        "data fusion assessment without reference. Photogrammetric Engineering & Remote Sensing 74(2):193-200, "
        "2008"
    ),
    "tv": (
        "L. I. Rudin, S. Osher, E. Fatemi. Nonlinear total variation based noise removal algorithms. Physica D: "
        "Nonlinear Phenomena 60(1-4):259-268, 1992"
    ),
    "style": (
        "L. A. Gatys, A. S. Ecker, M. Bethge. Image style transfer using convolutional neural networks. CVPR 2016"
    ),
    "deepdc": (
        "H. Zhu, B. Chen, L. Zhu, S. Wang, W. Lin. DeepDC: deep distance correlation as a perceptual image "
        "quality evaluator. arXiv 2211.04927, 2022"
    ),
    "dmm": (
        "B. Chen, H. Zhu, L. Zhu, S. Wang, J. Pan, S. Wang. Debiased mapping for full-reference image quality "
        "assessment. IEEE Transactions on Multimedia, 2025"
    ),
    "piqe": (
        "N. Venkatanath, D. Praneeth, M. C. Bh, S. S. Channappayya, S. S. Medasani. Blind image quality "
        "evaluation using perception based features. National Conference on Communications 2015"
    ),
    "niqe": (
        "A. Mittal, R. Soundararajan, A. C. Bovik. Making a completely blind image quality analyzer. IEEE Signal "
        "Processing Letters 20(3):209-212, 2013"
    ),
    "ilniqe": (
        "L. Zhang, L. Zhang, A. C. Bovik. A feature-enriched completely blind image quality evaluator. IEEE "
        "Transactions on Image Processing 24(8):2579-2591, 2015"
    ),
    "clip-iqa": (
        "J. Wang, K. C. K. Chan, C. C. Loy. Exploring CLIP for assessing the look and feel of images. AAAI 2023, "
        "arXiv 2207.12396"
    ),
    "maclip": (
        "Z. Liao, D. Wu, Z. Shi, S. Mai, H. Zhu, L. Zhu, Y. Jiang, B. Chen. Beyond cosine similarity: "
        "magnitude-aware CLIP for no-reference image quality assessment. AAAI 2026, arXiv 2511.09948"
    ),
    "qualiclip": (
        "L. Agnolucci, L. Galteri, M. Bertini. Quality-aware image-text alignment for real-world image quality "
        "assessment. arXiv 2403.11176, 2024"
    ),
    "lpips": (
        "R. Zhang, P. Isola, A. A. Efros, E. Shechtman, O. Wang. The unreasonable effectiveness of deep features "
        "as a perceptual metric. CVPR 2018"
    ),
    "st-lpips": "A. Ghildyal, F. Liu. Shift-tolerant perceptual similarity metric. ECCV 2022",
    "dists": (
        "K. Ding, K. Ma, S. Wang, E. P. Simoncelli. Image quality assessment: unifying structure and texture "
        "similarity. IEEE Transactions on Pattern Analysis and Machine Intelligence 44(5):2567-2581, 2022, arXiv "
        "2004.07728"
    ),
    "pieapp": (
        "E. Prashnani, H. Cai, Y. Mostofi, P. Sen. PieAPP: perceptual image-error assessment through pairwise "
        "preference. CVPR 2018"
    ),
    "ahiq": (
        "S. Lao, Y. Gong, S. Shi, S. Yang, T. Wu, J. Wang, W. Xia, Y. Yang. Attentions help CNNs see better: "
        "attention-based hybrid image quality assessment network. CVPR workshops 2022, arXiv 2204.10485"
    ),
    "ckdn": (
        "H. Zheng, H. Yang, J. Fu, Z.-J. Zha, J. Luo. Learning conditional knowledge distillation for "
        "degraded-reference image quality assessment. ICCV 2021"
    ),
    "wadiqam": (
        "S. Bosse, D. Maniry, K.-R. Müller, T. Wiegand, W. Samek. Deep neural networks for no-reference and "
        "full-reference image quality assessment. IEEE Transactions on Image Processing 27(1):206-219, 2018"
    ),
    "ms-swd": (
        "J. He, Z. Wang, L. Wang, T.-I. Liu, Y. Fang, Q. Sun, K. Ma. Multiscale sliced Wasserstein distances as "
        "perceptual color difference measures. ECCV 2024, arXiv 2407.10181"
    ),
    "a-fine": (
        "D. Chen, T. Wu, K. Ma, L. Zhang. Toward generalized image quality assessment: relaxing the perfect "
        "reference quality assumption. CVPR 2025, arXiv 2503.11221"
    ),
    "brisque": (
        "A. Mittal, A. K. Moorthy, A. C. Bovik. No-reference image quality assessment in the spatial domain. IEEE "
        "Transactions on Image Processing 21(12):4695-4708, 2012"
    ),
    "nrqm": (
        "C. Ma, C.-Y. Yang, X. Yang, M.-H. Yang. Learning a no-reference quality metric for single-image "
        "super-resolution. Computer Vision and Image Understanding 158:1-16, 2017"
    ),
    "pi": (
        "Y. Blau, R. Mechrez, R. Timofte, T. Michaeli, L. Zelnik-Manor. The 2018 PIRM challenge on perceptual "
        "image super-resolution. ECCV workshops 2018"
    ),
    "cnniqa": (
        "L. Kang, P. Ye, Y. Li, D. Doermann. Convolutional neural networks for no-reference image quality "
        "assessment. CVPR 2014"
    ),
    "musiq": "J. Ke, Q. Wang, Y. Wang, P. Milanfar, F. Yang. MUSIQ: multi-scale image quality transformer. ICCV 2021",
    "nima": (
        "H. Talebi, P. Milanfar. NIMA: neural image assessment. IEEE Transactions on Image Processing "
        "27(8):3998-4011, 2018"
    ),
    "paq2piq": (
        "Z. Ying, H. Niu, P. Gupta, D. Mahajan, D. Ghadiyaram, A. C. Bovik. From patches to pictures (PaQ-2-PiQ): "
        "mapping the perceptual space of picture quality. CVPR 2020"
    ),
    "dbcnn": (
        "W. Zhang, K. Ma, J. Yan, D. Deng, Z. Wang. Blind image quality assessment using a deep bilinear "
        "convolutional neural network. IEEE Transactions on Circuits and Systems for Video Technology "
        "30(1):36-47, 2020"
    ),
    "maniqa": (
        "S. Yang, T. Wu, S. Shi, S. Lao, Y. Gong, M. Cao, J. Wang, Y. Yang. MANIQA: multi-dimension attention "
        "network for no-reference image quality assessment. CVPR workshops 2022"
    ),
    "fgresq": (
        "X. Sheng, X. Pan, Z. Yang, P. Chen, L. Li. Fine-grained image quality assessment for perceptual image "
        "restoration. AAAI 2026"
    ),
    "tres": (
        "S. A. Golestaneh, S. Dadsetan, K. M. Kitani. No-reference image quality assessment via transformers, "
        "relative ranking, and self-consistency. WACV 2022"
    ),
    "hyperiqa": (
        "S. Su, Q. Yan, Y. Zhu, C. Zhang, X. Ge, J. Sun, Y. Zhang. Blindly assess image quality in the wild "
        "guided by a self-adaptive hyper network. CVPR 2020"
    ),
    "metaiqa": (
        "H. Zhu, L. Li, J. Wu, W. Dong, G. Shi. MetaIQA: deep meta-learning for no-reference image quality "
        "assessment. CVPR 2020"
    ),
    "uranker": (
        "C. Guo, R. Wu, X. Jin, L. Han, W. Zhang, Z. Chai, C. Li. Underwater Ranker: learn which is better and "
        "how to be better. AAAI 2023, arXiv 2208.06857"
    ),
    "liqe": (
        "W. Zhang, G. Zhai, Y. Wei, X. Yang, K. Ma. Blind image quality assessment via vision-language "
        "correspondence: a multitask learning perspective. CVPR 2023"
    ),
    "unique": (
        "W. Zhang, K. Ma, G. Zhai, X. Yang. Uncertainty-aware blind image quality assessment in the laboratory "
        "and wild. IEEE Transactions on Image Processing 30:3474-3486, 2021"
    ),
    "compare2score": (
        "H. Zhu, H. Wu, Y. Li, Z. Zhang, B. Chen, L. Zhu, Y. Fang, G. Zhai, W. Lin, S. Wang. Adaptive image "
        "quality assessment via teaching large multimodal model to compare. NeurIPS 2024"
    ),
    "q-align": (
        "H. Wu, Z. Zhang, W. Zhang, C. Chen, C. Li, L. Liao, A. Wang, E. Zhang, W. Sun, Q. Yan, X. Min, G. Zhai, "
        "W. Lin. Q-Align: teaching LMMs for visual scoring via discrete text-defined levels. ICML 2024, arXiv "
        "2312.17090"
    ),
    "arniqa": (
        "L. Agnolucci, L. Galteri, M. Bertini, A. Del Bimbo. ARNIQA: learning distortion manifold for image "
        "quality assessment. WACV 2024, arXiv 2310.14918"
    ),
}
