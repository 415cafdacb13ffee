"""The pages of the magazine."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from django_secure_sessions.decorators import session_required
from django_secure_sessions.http import SecureRequest

from .articles import ARTICLES, BY_SLUG, Article
from .facts import session_facts
from .forms import PreferencesForm
from .preferences import Preferences, Shelf


def home(request: HttpRequest) -> HttpResponse:
    """List the articles. Public."""
    shelf = Shelf(request.session)
    return render(
        request,
        "reading/home.html",
        {
            "lead": ARTICLES[0],
            "articles": ARTICLES[1:],
            "shelved": shelf.slugs,
            "last_read": BY_SLUG.get(shelf.last_read or ""),
        },
    )


def article(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one article, and remember it as the last one read. Public."""
    piece = _article_or_404(slug)
    shelf = Shelf(request.session)
    if request.user.is_authenticated and shelf.last_read != slug:
        # Only for readers who signed in: a visitor who just looks costs no row.
        shelf.last_read = slug
    context = {"article": piece, "shelved": shelf.slugs}
    return render(request, "reading/article.html", context)


@require_POST
def shelve(request: HttpRequest, slug: str) -> HttpResponse:
    """Put an article on the shelf, or take it down. Public, this visit only."""
    piece = _article_or_404(slug)
    with Shelf(request.session).edit() as shelf:
        if slug in shelf.slugs:
            shelf.slugs.remove(slug)
            messages.success(request, f"“{piece.title}” is off your shelf.")
        else:
            shelf.slugs.append(slug)
            messages.success(request, f"“{piece.title}” is on your shelf.")
    return redirect(_local_path(request.POST.get("next", "")) or "shelf")


def shelf(request: HttpRequest) -> HttpResponse:
    """Show what this session put aside. Public."""
    slugs = Shelf(request.session).slugs
    articles = [BY_SLUG[slug] for slug in slugs if slug in BY_SLUG]
    context = {"articles": articles, "shelved": slugs}
    return render(request, "reading/shelf.html", context)


def preferences(request: HttpRequest) -> HttpResponse:
    """Show and store theme and text size. Public, this visit only."""
    chosen = Preferences(request.session)
    form = PreferencesForm(
        request.POST or None,
        initial={"theme": chosen.theme, "text_size": chosen.text_size},
    )
    if request.method == "POST" and form.is_valid():
        with chosen.edit():
            chosen.theme = form.cleaned_data["theme"]
            chosen.text_size = form.cleaned_data["text_size"]
        messages.success(request, "Saved. This session remembers it.")
        return redirect("preferences")
    return render(request, "reading/preferences.html", {"form": form})


@session_required
def profile(request: SecureRequest) -> HttpResponse:
    """Show who is signed in, this session's facts and the other sessions."""
    current, *others = session_facts(request)
    context = {"session": current, "others": others}
    return render(request, "reading/profile.html", context)


def _article_or_404(slug: str) -> Article:
    try:
        return BY_SLUG[slug]
    except KeyError:
        raise Http404("There is no such article.") from None


def _local_path(url: str) -> str:
    """Return ``url`` when it stays on this site, else the empty string."""
    return url if url_has_allowed_host_and_scheme(url, allowed_hosts=None) else ""
