# SPDX-License-Identifier: MIT
"""A kill at any moment loses no acknowledged change."""
import threading
import unittest

from harness import Naru


class Kills(unittest.TestCase):
    def test_every_acknowledged_change_survives(self):
        with Naru("kills") as naru:
            acknowledged = []
            for round_number in range(6):
                writer = threading.Thread(target=self.write, args=(naru, round_number, acknowledged))
                writer.start()
                writer.join(timeout=0.4 + 0.1 * round_number)
                naru.kill()
                writer.join()
                naru.start()
                clusters = {arn.rsplit("/", 1)[1] for page in naru.client("ecs").get_paginator("list_clusters").paginate()
                            for arn in page["clusterArns"]}
                self.assertEqual([name for name in acknowledged if name not in clusters], [])
            self.assertGreater(len(acknowledged), 20)

    def write(self, naru, round_number, acknowledged):
        ecs = naru.client("ecs")
        for i in range(100000):
            name = f"c-{round_number}-{i}"
            try:
                ecs.create_cluster(clusterName=name)
            except Exception:  # the server is gone: what was not answered may or may not be there
                return
            acknowledged.append(name)


if __name__ == "__main__":
    unittest.main()
