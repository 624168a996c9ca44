"""Pages of DescribeInstances within EC2's bounds."""

from __future__ import annotations

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses.instances import InstanceResponse

from lab.aws.strict import pages, tags
from lab.aws.strict.base import StrictBase


class Instances(StrictBase, InstanceResponse):
    """EC2's actions on instances, as far as they differ from moto's."""

    def run_instances(self) -> ActionResult:
        tags.check_specifications(self._get_params())
        return super().run_instances()

    def describe_instances(self) -> ActionResult:
        wanted = self._get_param("MaxResults")
        pages.alone(self._get_param("InstanceIds", []), wanted, "instancesSet")
        # Without a size, moto would cut at 100 where EC2 gives all.
        self.params["MaxResults"] = pages.size(wanted) or len(self.ec2_backend.reservations) or pages.MOST
        try:
            return super().describe_instances()
        except ValueError:
            raise EC2ClientError("InvalidPaginationToken", "The specified pagination token is not valid or is expired.") from None
