"""Who can teach: one file a kind, `load.py` tells them apart, the rest is what they share."""

from compress.distill.teachers.check import check_teacher
from compress.distill.teachers.load import load_teacher
from compress.distill.teachers.protocol import Teacher
from compress.distill.teachers.record import teacher_record

__all__ = ["Teacher", "check_teacher", "load_teacher", "teacher_record"]
