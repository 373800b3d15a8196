"""Trees of /proc and /sys, and a vcgencmd, as boards have them."""

import os
import stat


def write_tree(root, files):
    """Small files under a root."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


# As a Raspberry Pi 5 prints it, with three of its twelve rails:
# https://github.com/jfikar/RPi5-power. 0.1 A x 3.3 V + 2 A x 0.9 V = 2.13 W.
PMIC = """ 3V7_WL_SW_A current(0)=0.00000000A
   3V3_SYS_A current(1)=0.10000000A
  VDD_CORE_A current(7)=2.00000000A
 3V7_WL_SW_V volt(8)=3.79999600V
   3V3_SYS_V volt(9)=3.30000000V
  VDD_CORE_V volt(15)=0.90000000V
     EXT5V_V volt(24)=5.06788000V
      BATT_V volt(25)=3.01110800V"""
PMIC_WATTS = 2.13
# What a firmware without the command says, with status 0.
UNKNOWN_COMMAND = 'error=1 error_msg="Command not registered"'


def install_vcgencmd(monkeypatch, folder, answers, status=0):
    """Put a vcgencmd first on PATH.

    Args:
        monkeypatch: pytest's.
        folder: for the script.
        answers: what it prints, by its words.
        status: that it ends with.
    """
    folder.mkdir(exist_ok=True)
    cases = "".join(f"'{words}') echo \"$(cat <<'END'\n{said}\nEND\n)\" ;;\n"
                    for words, said in answers.items())  # fmt: skip
    script = folder / "vcgencmd"
    unknown = f"*) echo '{UNKNOWN_COMMAND}' ;;\n"
    # Out of the case statement: leading blanks of the first line are part of the format.
    script.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}{unknown}esac\nexit {status}\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
