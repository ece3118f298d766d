"""The neonatal detector: a RetinaFace with two modules for faces in wards.

They are hierarchical contextual classification (HCC) and DIoU-aware NMS (DAN), after Zhao et al.,
*Towards a Deeper insight into Face Detection in Neonatal wards*, MICCAI 2024.

Shapes in this room: B pictures, C channels, H W cells of a level, A anchors a cell (three), N
anchors of all levels, G true faces, M kept cells. Levels are P2 to P6, strides 4 to 64.
"""
