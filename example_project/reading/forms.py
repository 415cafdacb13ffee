"""The one form of the site that is not Django's own."""

from __future__ import annotations

from django import forms

from .preferences import TEXT_SIZES, THEMES


class PreferencesForm(forms.Form):
    """Choose theme and text size."""

    theme = forms.ChoiceField(
        choices=list(THEMES.items()), widget=forms.RadioSelect, label="Theme"
    )
    text_size = forms.ChoiceField(
        choices=list(TEXT_SIZES.items()), widget=forms.RadioSelect, label="Text size"
    )
