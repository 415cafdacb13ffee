"""A user as far from Django's own as sites get: UUIDs for keys, a handle for a name."""

from __future__ import annotations

from uuid import uuid4

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models


class MemberManager(BaseUserManager):
    def create_user(self, handle, password, **facts):
        member = self.model(handle=handle, **facts)
        member.set_password(password)
        member.save()
        return member


class Member(AbstractBaseUser, PermissionsMixin):
    """There is no field called username, email or id."""

    number = models.UUIDField(primary_key=True, default=uuid4)
    handle = models.CharField(max_length=40, unique=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)

    USERNAME_FIELD = "handle"
    objects = MemberManager()
