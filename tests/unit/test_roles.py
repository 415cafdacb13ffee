"""Which roles a user has, and who acts behind a session."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, Group

from django_secure_sessions.roles import default_roles, impersonator
from tests.factories import UserFactory


@pytest.mark.django_db
class TestDefaultRoles:
    @pytest.mark.parametrize(
        ("flags", "expected"),
        [
            ({}, ("user",)),
            ({"is_staff": True}, ("staff", "user")),
            ({"is_superuser": True}, ("admin", "user")),
            ({"is_superuser": True, "is_staff": True}, ("admin", "staff", "user")),
            ({"is_superuser": True, "is_active": False}, ()),
        ],
    )
    def test_flags(self, flags, expected):
        """Flags give the built-in roles; whoever is deactivated has none."""
        assert default_roles(UserFactory(**flags)) == expected

    def test_groups_stand_between_staff_and_user(self):
        """Group names are roles, in the order of the alphabet."""
        user = UserFactory(is_staff=True)
        user.groups.add(*(Group.objects.create(name=name) for name in "cab"))

        assert default_roles(user) == ("staff", "a", "b", "c", "user")

    def test_no_role_is_named_twice(self):
        """A group called like a built-in role gives that role once."""
        user = UserFactory(is_staff=True)
        user.groups.add(Group.objects.create(name="staff"))

        assert default_roles(user) == ("staff", "user")

    def test_costs_one_query(self, django_assert_num_queries):
        """The groups are read at once, however many there are."""
        user = UserFactory()
        user.groups.add(*(Group.objects.create(name=name) for name in "abcdef"))

        with django_assert_num_queries(1):
            default_roles(user)


@pytest.mark.parametrize("nobody", [None, AnonymousUser()])
def test_nobody_has_no_role(nobody):
    """Without a user there is no role, not even ``user``."""
    assert default_roles(nobody) == ()


def test_user_model_without_groups_and_flags():
    """A user model without PermissionsMixin has the one role that all have."""

    user = type("User", (), {"is_authenticated": True, "is_active": True})()

    assert default_roles(user) == ("user",)


class TestImpersonator:
    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            ({}, None),
            ({"hijack_history": []}, None),
            ({"hijack_history": ["7"]}, "7"),
            ({"hijack_history": ["7", "9"]}, "7"),
            ({"hijack_history": "7"}, None),
            ({"loginas_from_user": "7:1rXyz:signature"}, "7"),
            ({"loginas_from_user": "7"}, "7"),
            ({"loginas_from_user": ""}, None),
            ({"theme": "dark"}, None),
        ],
    )
    def test_known_packages(self, data, expected):
        """The person is found in the data of django-hijack and django-loginas."""
        assert impersonator(data) == expected
