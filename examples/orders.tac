# The same under twistd, which finds orders_api.py by PYTHONPATH: twistd --nodaemon --python examples/orders.tac
from orders_api import orders
from twisted.application.service import Application

from rrsd.protect import make_api

application = Application("orders")
make_api("orders.ini", orders).setServiceParent(application)
