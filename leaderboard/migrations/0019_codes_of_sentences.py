import re

from django.db import migrations, models

# English sentences as they were stored, by the code that says them since.
REASONS = {
    "submitted": "submitted",
    "checked": "checked",
    "attempt_failed": "attempt %(n)s failed: %(codes)s",
    "attempt_lost": "attempt %(n)s lost: %(codes)s",
    "attempt": "attempt %(n)s",
    "outdated": "measured under old rules; now %(version)s",
    "rules": "rules %(version)s",
    "batch": "batch %(n)s: %(why)s",
    "unmeasured": "not measured in batch %(n)s",
    "pooled": "pool of evaluations %(numbers)s",
    "scored": "%(score)s",
    "problems": "%(codes)s",
}
ANSWERS = {
    "timeout": "no answer within %(n)s s",
    "removed": "the webhook was removed",
    "not_https": "not an https address",
    "no_address": "no address of a webhook",
    "private": "the address is inside a private network",
    "broke": "the site could not send it",
}
VALUES = {
    "n": r"\d+",
    "score": r"-?\d+\.\d{4}",
    "numbers": r"\d+(?:, \d+)*",
    "codes": r"[A-Z0-9]+(?:_[A-Z0-9]+)+(?:, [A-Z0-9]+(?:_[A-Z0-9]+)+)*",
}
LISTS = {"codes": str, "numbers": int}


def pattern(sentence):
    parts = re.split(r"%\((\w+)\)s", sentence)
    return re.compile(
        "".join(
            f"(?P<{part}>{VALUES.get(part, '.+')})" if i % 2 else re.escape(part)
            for i, part in enumerate(parts)
        ),
        re.DOTALL,
    )


def parse(text, sentences):
    """Code and parameters that say exactly this text; what nobody recognises is kept as it is."""
    if not text:
        return "", {}
    for code, sentence in sentences.items():
        if found := pattern(sentence).fullmatch(text):
            parameters = found.groupdict()
            for name, kind in LISTS.items():
                if name in parameters:
                    parameters[name] = [kind(one) for one in parameters[name].split(", ")]
            if "n" in parameters:
                parameters["n"] = int(parameters["n"])
            if render(code, parameters, sentences) == text:
                return code, parameters
    return "text", {"text": text}


def render(code, parameters, sentences):
    if not code:
        return ""
    words = {k: ", ".join(map(str, v)) if isinstance(v, list) else v for k, v in parameters.items()}
    return (sentences | {"text": "%(text)s"})[code] % words


def convert(rows, text, code, parameters, sentences, *, back):
    """Two thousand rows at a time, by their keys, so that a table of any size goes through."""
    after = 0
    while page := list(rows.filter(pk__gt=after).order_by("pk")[:2000]):
        for row in page:
            if back:
                said = render(getattr(row, code), getattr(row, parameters), sentences)
                setattr(row, text, said[:200])
            else:
                found, values = parse(getattr(row, text), sentences)
                setattr(row, code, found)
                setattr(row, parameters, values)
        rows.bulk_update(page, [text] if back else [code, parameters])
        after = page[-1].pk


def both(apps, schema_editor, *, back):
    for name, text, code, parameters, sentences in (
        ("Transition", "reason", "code", "parameters", REASONS),
        ("Delivery", "answer", "answer_code", "answer_parameters", ANSWERS),
    ):
        rows = apps.get_model("leaderboard", name).objects.using(schema_editor.connection.alias)
        convert(rows, text, code, parameters, sentences, back=back)


def forwards(apps, schema_editor):
    both(apps, schema_editor, back=False)


def backwards(apps, schema_editor):
    both(apps, schema_editor, back=True)


class Migration(migrations.Migration):
    dependencies = [("leaderboard", "0018_current_and_status")]

    operations = [
        migrations.AddField(
            model_name='delivery',
            name='answer_code',
            field=models.CharField(blank=True, choices=[('timeout', 'no answer within %(n)s s'), ('removed', 'the webhook was removed'), ('not_https', 'not an https address'), ('no_address', 'no address of a webhook'), ('private', 'the address is inside a private network'), ('broke', 'the site could not send it'), ('text', '%(text)s')], max_length=20, verbose_name='answer'),
        ),
        migrations.AddField(
            model_name='delivery',
            name='answer_parameters',
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddField(
            model_name='transition',
            name='code',
            field=models.CharField(blank=True, choices=[('submitted', 'submitted'), ('checked', 'checked'), ('attempt', 'attempt %(n)s'), ('attempt_failed', 'attempt %(n)s failed: %(codes)s'), ('attempt_lost', 'attempt %(n)s lost: %(codes)s'), ('scored', '%(score)s'), ('problems', '%(codes)s'), ('outdated', 'measured under old rules; now %(version)s'), ('rules', 'rules %(version)s'), ('batch', 'batch %(n)s: %(why)s'), ('unmeasured', 'not measured in batch %(n)s'), ('pooled', 'pool of evaluations %(numbers)s'), ('text', '%(text)s')], max_length=20, verbose_name='reason'),
        ),
        migrations.AddField(
            model_name='transition',
            name='parameters',
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.RunPython(forwards, backwards, elidable=True),
        migrations.RemoveField("transition", "reason"),
        migrations.RemoveField("delivery", "answer"),
    ]
