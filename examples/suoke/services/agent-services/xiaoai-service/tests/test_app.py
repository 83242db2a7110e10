from xiaoai.app import EXAMINATIONS, create_app


def test_health_names_the_service(call):
    status, answer = call(create_app(), "GET", "/health")
    assert (status, answer["service"]) == (200, "xiaoai-service")


def test_a_picture_of_four_examinations(call, fake_transport):
    answers = {("GET", url + "/lin/patterns"): {"patterns": {"damp heat": 0.7}} for url in EXAMINATIONS.values()}
    _, answer = call(create_app(fake_transport(answers)), "GET", "/lin/picture")
    assert answer == {"patterns": {"damp heat": 0.7}, "verdict": "damp heat"}


def test_an_examination_not_made_does_not_count(call, fake_transport):
    answers = {("GET", url + "/lin/patterns"): {"patterns": {}} for url in EXAMINATIONS.values()}
    answers["GET", EXAMINATIONS["look"] + "/lin/patterns"] = {"patterns": {"damp heat": 0.9}}
    _, answer = call(create_app(fake_transport(answers)), "GET", "/lin/picture")
    assert answer["patterns"] == {"damp heat": 0.9}


def test_remarks_are_counted(call):
    app = create_app()
    call(app, "POST", "/lin/remarks", {"text": "sleeps badly"})
    assert call(app, "POST", "/lin/remarks", {"text": "eats well"})[1]["remarks"] == 2
