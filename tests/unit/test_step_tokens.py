"""Step tokens: readable, within the bounds of a client token, and never those of another step."""

from __future__ import annotations

from sametoken.idempotency import TokenGrammar
from sametoken.workflow.plans import PLANS
from sametoken.workflow.tokens import TokenForm, step_token

ID = "i-0123456789abcdef0"
# More plans than any instance will have.
EPOCHS = (0, 1, 10, 2_147_483_647)


def tokens(form: TokenForm) -> list[str]:
    """Return the tokens of all steps; a step of the same name in two plans has the same token."""
    steps = {
        (step.name, service)
        for plan in PLANS.values()
        for step in plan.steps
        for service in step.services
    }
    return [step_token(form, ID, epoch, *step) for step in sorted(steps) for epoch in EPOCHS]


def test_each_step_has_a_token_of_its_own_in_each_form() -> None:
    both = [*tokens(TokenForm.READABLE), *tokens(TokenForm.HASHED)]
    assert len(set(both)) == len(both)


def test_a_step_token_is_within_the_bounds_of_a_client_token() -> None:
    for form in TokenForm:
        for token in tokens(form):
            assert TokenGrammar().parse(token) == token


def test_a_readable_token_says_what_it_is_of() -> None:
    token = step_token(TokenForm.READABLE, ID, 3, "boot-machine", "machines")
    assert token == "i-0123456789abcdef0:3:boot-machine:machines"


def test_no_name_in_a_plan_has_the_colon_that_parts_a_token() -> None:
    for plan in PLANS.values():
        for step in plan.steps:
            assert ":" not in step.name + "".join(step.services)
