"""A second regentd that names the state of a running one refuses to start, and leaves it alone: two data directories, one state_dir."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

from cluster import Cluster


def copy_of(c, node, port):
    """The node's folder once more beside it, on ports of its own: only the state_dir is the same."""
    home = Path(node["config"]).parent
    copy = c.dir / "copy"
    shutil.copytree(home, copy, ignore=shutil.ignore_patterns("*.log"))
    text = (copy / "regentd.yaml").read_text()
    ports = sorted(set(re.findall(r"127\.0\.0\.1:(\d+)", text)))
    for i, old in enumerate(ports):
        text = text.replace(f"127.0.0.1:{old}", f"127.0.0.1:{port + i}")
    (copy / "regentd.yaml").write_text(text)
    return copy


def files(state):
    return sorted((f.name, f.stat().st_ino) for f in state.glob("*.mdb"))


def main(regent, organisation):
    with Cluster(regent, regions="us-east-1") as c:
        c.run("import", organisation)
        node = c.region("us-east-1")["nodes"][0]
        config = Path(node["config"]).read_text()
        state = Path(re.search(r"^state_dir: '?([^'\n]+)", config, re.M).group(1))
        state = state if state.is_absolute() else Path(node["config"]).parent / state
        before = files(state)
        copy = copy_of(c, node, 39981)
        done = subprocess.run([str(Path(regent).parent / "regentd"), "--config", str(copy / "regentd.yaml")], capture_output=True,
                              text=True, timeout=20, check=False)
        assert done.returncode == 1 and "state_dir" in done.stderr and str(state) in done.stderr, done
        assert files(state) == before
        c.connect("us-east-1").create_user("written@afterwards")
        c.kill("us-east-1")  # what a killed process held is free at once
        c.start("us-east-1")
        c.connect("us-east-1").user_id("written@afterwards")
        print("refused:", done.stderr.strip().splitlines()[-1])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
