"""Makers of rows for tests."""

from __future__ import annotations

import factory
from django.contrib.auth import get_user_model

PASSWORD = "correct horse battery staple"


class UserFactory(factory.django.DjangoModelFactory):
    """An active user whose password is PASSWORD."""

    class Meta:
        model = get_user_model()

    username = factory.Sequence("user{}".format)
    email = factory.LazyAttribute("{0.username}@example.com".format)

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        password = kwargs.pop("password", PASSWORD)
        return model_class.objects.create_user(*args, password=password, **kwargs)
