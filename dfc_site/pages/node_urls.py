"""The addresses below `/en/nodes/` and `/fr/nodes/`."""

from django.urls import path

from dfc_site.pages import node_owner, nodes

urlpatterns = [
    path("", nodes.nodes, name="nodes"),
    path("register/", nodes.register, name="node-register"),
    path("registered/", nodes.registered, name="node-registered"),
    path("confirmed/", nodes.confirmed, name="node-confirmed"),
    path("erased/", nodes.erased, name="node-erased"),
    path("link/", nodes.ask, name="node-link"),
    path("link/sent/", nodes.link_sent, name="node-link-sent"),
    path("link/<str:token>/", nodes.open_link, name="node-open-link"),
    path("<slug:public_id>/", node_owner.node, name="node"),
    path("<slug:public_id>/token/", node_owner.token, name="node-token"),
    path("<slug:public_id>/change/", node_owner.change, name="node-change"),
    path("<slug:public_id>/leave/", node_owner.leave, name="node-leave"),
    path("<slug:public_id>/erase/", node_owner.erase, name="node-erase"),
    path("<slug:public_id>/close/", node_owner.close, name="node-close"),
]
