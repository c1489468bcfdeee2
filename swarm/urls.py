from django.urls import path

from swarm import views

urlpatterns = [path("d/<str:dataset>/<str:number>/<path:path>.torrent", views.torrent, name="file-torrent")]
