"""A promotion dies after the regions have promised it their loyalty: the old primary, which was only stopped, gets them back by
beginning an epoch above the promised one, by itself."""
import signal
import subprocess
import sys
import time

from cluster import Cluster, wait


def main(regent, organisation):
    with Cluster(regent) as c:
        old, heir, third = c.names
        c.run("import", organisation)
        c.run("lease", "set", "--regions", "1", "--seconds", "4")
        c.wait_equal()
        wait("the lease is held", 20, lambda: c.connect(old).status()["lease"].get("held"))
        (node,) = c.region(old)["nodes"]
        assert c.signal_node(node, signal.SIGSTOP)
        declared = subprocess.Popen([c.regent, "failover", "declare", "--to", heir, "--by", "test", "--reason", "it hangs", "--yes"],
                                    env=c.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait(f"{third} has promised", 30, lambda: c.connect(third).status()["promisedEpoch"] > 1)
            promised = c.connect(third).status()["promisedEpoch"]
            c.kill(heir)  # while it waits for the leases to run out: the epoch has not begun
        finally:
            declared.wait(60)
        assert declared.returncode != 0
        c.signal_node(node, signal.SIGCONT)
        c.start(heir)
        began = time.monotonic()
        wait(f"{old} takes writes again", 40, lambda: c.connect(old).create_user(f"u{time.monotonic_ns()}"))
        status = c.connect(old).status()
        assert status["role"] == "PRIMARY" and status["epoch"] > promised, (promised, status["epoch"])
        wait("no alarm is left", 20, lambda: not c.connect(old).status()["alarms"])
        c.wait_equal()
        print(f"epoch {promised} was promised and not begun; {old} went on in {status['epoch']} after {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
