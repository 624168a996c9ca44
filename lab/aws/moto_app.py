"""Moto with the strict classes in place of its own, as one WSGI application."""

from __future__ import annotations

import logging

from moto.core.model import ServiceModel
from moto.core.utils import get_service_model
from moto.ec2 import urls as ec2_urls
from moto.ec2.responses import EC2Response
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.route53 import urls as route53_urls

from lab.aws.front import Wsgi
from lab.aws.strict import instances, interfaces, snapshots, tags, volumes
from lab.aws.strict.addresses import Addresses
from lab.aws.strict.base import StrictBase
from lab.aws.strict.instances import Instances
from lab.aws.strict.interfaces import Interfaces
from lab.aws.strict.modification import VolumeModifications
from lab.aws.strict.records import Records
from lab.aws.strict.snapshots import Snapshots
from lab.aws.strict.tags import Tags
from lab.aws.strict.volumes import Volumes
from lab.aws.world import World

SERVICES = ("ec2", "route53", "iam", "sts")


class StrictEc2(Volumes, VolumeModifications, Snapshots, Interfaces, Addresses, Instances, Tags, EC2Response):
    """EC2, with what the lab makes strict before what moto has."""


def make(world: World) -> Wsgi:
    """The application; its classes look into *world*, so a process has one."""
    StrictBase.world = Records.world = world
    for install in (volumes.install, snapshots.install, interfaces.install, instances.install, tags.install):
        install()
    ec2_urls.url_paths.update(dict.fromkeys(ec2_urls.url_paths, StrictEc2.dispatch))
    route53_urls.url_paths.update(dict.fromkeys(route53_urls.url_paths, Records.dispatch))
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application: Wsgi = DomainDispatcherApplication(create_backend_app)
    return application


def warm() -> list[ServiceModel]:
    """Load what the first call of each service would wait a second for."""
    return [get_service_model(service) for service in SERVICES]
