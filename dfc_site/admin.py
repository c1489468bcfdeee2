"""The admin site as a whole: its name, and what nobody may touch through it.

A row of django-q2's schedule is remote code execution, so none of its models has a page here.
"""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from django_q import admin as queue_admin
from django_q.models import Failure, OrmQ, Schedule, Success

admin.site.site_header = _("Stewardship")
admin.site.site_title = _("Stewardship")
admin.site.index_title = _("Work")

for model in (Schedule, Success, Failure, OrmQ):
    if queue_admin and admin.site.is_registered(model):
        admin.site.unregister(model)
