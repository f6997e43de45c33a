"""guestpass as a process of its own, for APIs that are not written in Python: ``guestpass serve``.

One TOML file and the environment say what is served: the forward-auth door, the issuing API, or both.

    settings.py          the file as a whole, strictly; what it says is in `Settings`
      document.py        its text and the environment, as tables that are read key by key
      kinds.py           what the value of a key can be
      rules.py           roles, components and [[rules]]: the policy
      issuers.py         [[issuers]]
      register.py        [ownership]: whose an account is, by the file or by asking another service
    secrets.py           the store's URL and the wrapping key, from where secrets are kept
    building.py          from settings to a store, guards and one application
    application.py       which of its parts a request is for; readiness; the access log
    running.py           a socket, uvicorn, signals; workers.py: several processes

All that reads settings is pure: a text and a mapping in, settings or one clear error out.
"""
